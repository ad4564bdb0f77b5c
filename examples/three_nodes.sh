#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A cluster of three nodes on this machine: forms it, writes on one mount, reads on another, kills the leader under load
# and shows that the count is complete and in order. Needs what examples/quickstart.sh installs and builds.
# TOPICFS names another program than build's. The cluster goes on running in ~/topicfs-three (or the directory given); a second run begins with an empty one.
set -euo pipefail
cd "$(dirname "$0")/.."

home=${1:-$HOME/topicfs-three}
program=${TOPICFS:-$PWD/build/broker/daemon/topicfs}
ports=(0 9192 9193 9194)
nodes=127.0.0.1:${ports[1]},127.0.0.1:${ports[2]},127.0.0.1:${ports[3]}
lines=${LINES_WRITTEN:-5000}
writer=

say() {
    printf '\n== %s\n' "$*"
}

refuse() {
    echo "three_nodes.sh: $*" >&2
    exit 1
}

# Repeats a command until it succeeds or the seconds given are over.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -le $deadline ] || return 1
        sleep 0.05
    done
}

mount_of() {
    echo "$home/$1/mount"
}

pid_of() {
    cat "$home/$1/data/topicfs.pid" 2> /dev/null
}

is_gone() {
    ! kill -0 "$1" 2> /dev/null
}

start_node() {
    "$program" --override topicfs.nodes=$nodes --override "topicfs.token.file=$home/token" \
        --override "listeners=PLAINTEXT://127.0.0.1:${ports[$1]}" --override "log.dirs=$home/$1/data" "$(mount_of "$1")"
}

stop_cluster() {
    local number pid
    for number in 1 2 3; do
        pid=$(pid_of $number) || continue
        if kill "$pid" 2> /dev/null; then
            wait_for 30 is_gone "$pid" || kill -9 "$pid"
        fi
        ! mountpoint -q "$(mount_of $number)" || umount -l "$(mount_of $number)" ||
            fusermount3 -uz "$(mount_of $number)"
    done
}

# Which node leads partition $2 of topic $1, as node $3 sees it.
leader_of() {
    awk -v partition="$2" '$1 == partition { print $2 }' "$(mount_of "$3")/$1/.info"
}

in_sync() {
    [ "$(awk -v partition="$2" '$1 == partition { print $4 }' "$(mount_of "$3")/$1/.info" | tr ',' '\n' | wc -l)" -eq "$4" ]
}

has_lines() {
    [ "$(wc -l < "$1")" -ge "$2" ]
}

write_lines() {
    local number
    for ((number = 1; number <= lines; number++)); do
        echo "$number"
    done >> "$1"
}

cleanup() {
    local status=$?
    [ -z "$writer" ] || kill "$writer" 2> /dev/null || true
    [ $status -eq 0 ] || stop_cluster
}
trap cleanup EXIT

[ -x "$program" ] || refuse "build it first: examples/quickstart.sh"
say "an empty directory: $home"
stop_cluster
rm -rf "$home"
mkdir -p "$home"/{1,2,3}/{mount,data}
(umask 077 && head -c 32 /dev/urandom | base64 > "$home/token")

say "three nodes, the same list and the same token each"
began=${EPOCHREALTIME/[.,]/}
for number in 1 2 3; do start_node $number & done
for number in 1 2 3; do wait -n || refuse "a node did not start: see $home/*/data/topicfs.report"; done
echo "formed in $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms"

say "written on node 1, read on node 2"
mkdir "$(mount_of 1)/greetings"
echo "hello from node 1" >> "$(mount_of 1)/greetings/0"
wait_for 10 test -e "$(mount_of 2)/greetings/0" && wait_for 10 has_lines "$(mount_of 2)/greetings/0" 1 || refuse "node 2 does not see it"
cat "$(mount_of 2)/greetings/0"

say "a count of $lines, written through one node while the leader of its partition is killed"
mkdir "$(mount_of 1)/count"
wait_for 10 in_sync count 0 1 3 || refuse "the replicas of count/0 are not in sync"
leader=$(leader_of count 0 1)
through=$((leader % 3 + 1))
wait_for 10 test -e "$(mount_of $through)/count/0" || refuse "node $through does not know of count"
echo "node $leader leads count/0; writing through node $through"
write_lines "$(mount_of $through)/count/0" &
writer=$!
wait_for 30 has_lines "$(mount_of $through)/count/0" $((lines / 4)) || refuse "nothing is written"
kill -9 "$(pid_of "$leader")"
echo "killed node $leader after $(wc -l < "$(mount_of $through)/count/0") lines"
wait $writer || refuse "a write was refused"
writer=
echo "node $(leader_of count 0 $through) leads it now"
other=$((6 - leader - through))
wait_for 10 has_lines "$(mount_of $other)/count/0" "$lines" || refuse "node $other does not see all lines"
cmp <(seq "$lines") "$(mount_of $other)/count/0" || refuse "the count is not what was written"
echo "all $lines lines are there, once each and in order"

say "node $leader comes back"
start_node "$leader"
wait_for 30 in_sync count 0 "$through" 3 || refuse "node $leader does not catch up"
tail -n 1 "$(mount_of "$leader")/count/0"

say "the cluster goes on running"
echo "Look around:  cat $(mount_of 1)/.health $(mount_of 1)/count/.info; kcat -L -b 127.0.0.1:${ports[1]}"
echo "Stop it:      kill \$(cat $home/*/data/topicfs.pid)"
