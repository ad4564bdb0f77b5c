#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a running node: installs, builds, starts topicfs at /mnt/kafka (as root; ~/kafka otherwise),
# feeds it this machine's own logs and shows the same bytes in the mount and at the port. Harmless to run twice:
# a node that runs is used as it is, and a log that is there already is fed only what it has gained.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -eq 0 ]; then
    mount=/mnt/kafka
    stop="umount $mount"
else
    mount=$HOME/kafka
    stop="fusermount3 -u $mount"
fi
broker=127.0.0.1:9092
program=build/broker/daemon/topicfs
scratch=$(mktemp -d)
follower=
trap '[ -z "$follower" ] || kill "$follower" 2> /dev/null; rm -rf "$scratch"' EXIT

say() {
    printf '\n== %s\n' "$*"
}

refuse() {
    echo "quickstart.sh: $*" >&2
    exit 1
}

# Repeats a command until it succeeds or the seconds given are over.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -le $deadline ] || return 1
        sleep 0.1
    done
}

build_release() {
    [ -e build/build.ninja ] || meson setup build --buildtype=release > "$scratch/build.log" ||
        { cat "$scratch/build.log" >&2 && refuse "meson setup failed"; }
    ninja -C build "${program#build/}" > "$scratch/build.log" ||
        { tail -n 30 "$scratch/build.log" >&2 && refuse "the build failed"; }
}

start_node() {
    if mountpoint -q "$mount" 2> /dev/null; then
        echo "a node runs at $mount already"
        return
    fi
    [ -d "$mount" ] || mkdir -p "$mount" 2> /dev/null || true
    "$program" "$mount" || refuse "the node did not start"
    echo "started: $program $mount"
}

# A web access log as a small site has it, the same at every run.
generate_access_log() {
    awk 'BEGIN {
        srand(7)
        split("/ /index.html /about /search?q=kafka /static/app.js /static/site.css /login /api/orders", path, " ")
        split("200 200 200 200 304 301 404 500", code, " ")
        for (i = 0; i < 20000; i++) {
            second = i % 60; minute = int(i / 60) % 60; hour = int(i / 3600) % 24
            printf "10.0.%d.%d - - [01/Mar/2026:%02d:%02d:%02d +0000] \"GET %s HTTP/1.1\" %s %d \"-\" \"browser/%d\"\n",
                int(rand() * 4), int(rand() * 250) + 1, hour, minute, second,
                path[int(rand() * 8) + 1], code[int(rand() * 8) + 1], int(rand() * 40000), int(rand() * 9)
        }
    }'
}

# Puts what there is to feed into $scratch/input, a file a topic, complete lines only.
gather_input() {
    local log
    mkdir "$scratch/input"
    for log in /var/log/dpkg.log /var/log/apt/history.log /var/log/alternatives.log /var/log/bootstrap.log; do
        if [ -s "$log" ] && [ -r "$log" ]; then
            sed '$a\' "$log" > "$scratch/input/$(basename "$log")"
        fi
    done
    [ -n "$(ls "$scratch/input")" ] || generate_access_log > "$scratch/input/access.log"
}

# True where partition $1 holds nothing but the beginning of file $2.
is_beginning_of() {
    [ ! -e "$1" ] || cmp -s "$1" <(head -c "$(stat -c %s "$1")" "$2")
}

# Feeds file $1 to a topic of its own and compares what comes back, by the mount and by the port.
feed() {
    local input=$1 topic number=1 partition before sums
    topic=$(basename "$input")
    until is_beginning_of "$mount/$topic/0" "$input"; do
        number=$((number + 1)) # The log was rotated since: its topic stays, this one gets the next name.
        topic=$(basename "$input")-$number
    done
    partition=$mount/$topic/0
    [ -d "$mount/$topic" ] || mkdir "$mount/$topic"
    before=$(stat -c %s "$partition")
    tail -c "+$((before + 1))" "$input" >> "$partition"
    mapfile -t sums < <({
        sha256sum < "$input"
        cat "$partition" | sha256sum
        kcat -C -q -e -b "$broker" -t "$topic" -p 0 -o beginning | sha256sum
    } | cut -c 1-16)
    printf '%-16s %6d lines   input %s   cat %s   kcat %s\n' "$topic" "$(wc -l < "$input")" "${sums[@]}"
    [ "${sums[0]}" = "${sums[1]}" ] && [ "${sums[1]}" = "${sums[2]}" ] ||
        refuse "$topic did not come back as it went in"
}

has_all_lines() {
    [ "$(wc -l < "$scratch/followed")" -ge 3 ]
}

# Follows a partition as a file while a Kafka client produces to it.
follow() {
    local topic=greetings next
    [ -d "$mount/$topic" ] || mkdir "$mount/$topic"
    next=$(($(wc -l < "$mount/$topic/0") + 1))
    echo "\$ tail -n +$next -f $mount/$topic/0 &"
    tail -n "+$next" -f "$mount/$topic/0" > "$scratch/followed" &
    follower=$!
    echo "\$ kcat -P -b $broker -t $topic -p 0"
    printf 'hello from kcat, %s of 3, at %s\n' 1 "$(date +%T)" 2 "$(date +%T)" 3 "$(date +%T)" > "$scratch/said"
    kcat -P -b "$broker" -t "$topic" -p 0 < "$scratch/said"
    wait_for 10 has_all_lines || refuse "tail -f did not show what kcat produced"
    cat "$scratch/followed"
    cmp -s "$scratch/said" "$scratch/followed" || refuse "tail -f showed something else than kcat produced"
    kill "$follower"
    follower=
}

say "packages"
examples/install_packages.sh build
say "build"
build_release
echo "$program $("$program" --version)"
say "start"
start_node
say "the same bytes by every way (SHA-256)"
gather_input
for input in "$scratch"/input/*; do feed "$input"; done
say "a partition followed as a file"
follow

say "the node goes on running"
echo "Look around:  ls $mount; tail -n 3 $mount/*/0; cat $mount/.help; kcat -L -b $broker"
echo "Stop it:      $stop"
