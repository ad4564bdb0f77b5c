#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the command line answers when nothing is to be started, and how it refuses what makes no sense.
limit_seconds=60
mount=no
. "$(dirname "$0")/../harness.sh"

# refused WORDS TEXT ARGUMENT...: status 1, nothing but one line, and that says TEXT.
refused() {
    local words=$1 text=$2 status said
    shift 2
    said=$("$TOPICFS" "$@" 2>&1 < /dev/null)
    status=$?
    check_equal "$words: status" 1 $status
    check_equal "$words: one line" 1 "$(printf '%s\n' "$said" | wc -l)"
    if [[ $said == "topicfs: "*"$text"* ]]; then pass "$words: the line"; else fail "$words: $said"; fi
}

data=$TEST_DIR/data
here=(-f --no-mount --override "log.dirs=$data")

check 'the version is printed' grep -q '^topicfs [0-9]' <("$TOPICFS" --version)
check 'the help names the options' grep -q -- '--override' <("$TOPICFS" --help)
check 'the help of the configuration names keys' grep -q '^log.retention.ms$' <("$TOPICFS" --help=config)
check 'and which have no effect' grep -q 'default 900000, 1 to .*, no effect$' <("$TOPICFS" --help=config)
check 'and their defaults' grep -q 'default PLAINTEXT://127.0.0.1:9092' <("$TOPICFS" --help=config)
"$TOPICFS" 2> /dev/null
check_equal 'without a mount point: status 2' 2 $?
"$TOPICFS" --no-such-option --no-mount 2> /dev/null
check_equal 'an unknown option: status 2' 2 $?
"$TOPICFS" --no-mount "$TEST_DIR" 2> /dev/null
check_equal 'a mount point and --no-mount: status 2' 2 $?
"$TOPICFS" --no-mount -o ro 2> /dev/null
check_equal 'options of a mount and --no-mount: status 2' 2 $?

refused 'an unknown key' 'unknown key log.retention.mss; the nearest known one is log.retention.ms' \
    "${here[@]}" --override log.retention.mss=5
refused 'a value that is no number' 'num.partitions=many' "${here[@]}" --override num.partitions=many
refused 'a value out of bounds' 'num.partitions=0' "${here[@]}" --override num.partitions=0
refused 'an override without a value' 'num.partitions is not KEY=VALUE' "${here[@]}" --override num.partitions
refused 'several data directories' 'several directories' -f --no-mount --override log.dirs=/tmp/a,/tmp/b
refused 'a listener without a port' 'NAME://HOST:PORT' "${here[@]}" --override listeners=PLAINTEXT://localhost
refused 'a port out of range' 'no port from 0 to 65535' "${here[@]}" --override listeners=PLAINTEXT://:99999
refused 'two listeners of one name' 'two are named A' "${here[@]}" \
    --override listeners=A://:1,A://:2 --override listener.security.protocol.map=A:PLAINTEXT
refused 'a listener with no protocol' 'no protocol for B' "${here[@]}" --override listeners=B://:1
refused 'a protocol that is not there yet' 'only PLAINTEXT' "${here[@]}" --override listeners=SSL://127.0.0.1:0
refused 'an address that is not loopback' 'topicfs.insecure=true' "${here[@]}" --override listeners=PLAINTEXT://:0
refused 'a name that is nowhere' 'resolve nowhere.example.com' "${here[@]}" --override listeners=PLAINTEXT://nowhere.example.com:0
refused 'an advertised name of no listener' 'listeners has no C' "${here[@]}" \
    --override advertised.listeners=C://localhost:1

refused 'a list of nodes without a token' 'topicfs.nodes needs topicfs.token.file' "${here[@]}" \
    --override topicfs.nodes=localhost:1,localhost:2
refused 'an unknown mount option' '-o rw,akcs=1: akcs=1 is no mount option' -f --override "log.dirs=$data" \
    -o rw,akcs=1 "$TEST_DIR"

printf 'num.partitions=3\nno.such.key=1\n' > "$TEST_DIR/bad.properties"
refused 'a file with an unknown key' 'bad.properties line 2: unknown key no.such.key' \
    "${here[@]}" -c "$TEST_DIR/bad.properties"
refused 'a file that is not there' 'absent.properties: No such file or directory' \
    "${here[@]}" -c "$TEST_DIR/absent.properties"

touch "$TEST_DIR/file"
refused 'a data directory that is a file' "log.dirs=$TEST_DIR/file" -f --no-mount --override "log.dirs=$TEST_DIR/file"
refused 'a mount point that is not there' 'No such file or directory' -f --override "log.dirs=$data" "$TEST_DIR/absent"
refused 'a mount point that is a file' 'not a directory' -f --override "log.dirs=$data" "$TEST_DIR/file"
mkdir -p "$TEST_DIR/full/x"
refused 'a mount point that is not empty' 'not empty' -f --override "log.dirs=$data" "$TEST_DIR/full"
mkdir -p "$TEST_DIR/point"
refused 'data inside the mount' 'inside the mount point' -f --override "log.dirs=$TEST_DIR/point/data" "$TEST_DIR/point"
ln -s "$TEST_DIR/point" "$TEST_DIR/link"
refused 'data inside the mount by a link' 'inside the mount point' -f --override "log.dirs=$TEST_DIR/link/data" "$TEST_DIR/point"
finish
