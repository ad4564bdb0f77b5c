#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nodes that come back at other addresses, one of them, then all at once, find each other by topicfs.nodes.
limit_seconds=240
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

# ports PORT...: where node 1, 2, 3 listen from now on.
ports() {
    local number=1
    cluster_list=
    for port; do
        member_ports[$number]=$port
        cluster_list+=${cluster_list:+,}$cluster_net.$number:$port
        number=$((number + 1))
    done
    BOOTSTRAP=$cluster_list
}
declare -A member_ports=()

address_of() {
    echo "$cluster_net.$1:${member_ports[$1]:-$cluster_port}"
}

# Node $1 is known at this port by everybody.
known_at() {
    local number
    for number in "${NODES[@]}"; do
        [ "$(cat "$(mount_of "$number")/.brokers/$1/port" 2> /dev/null)" = "$2" ] || return 1
    done
}

reads_back() {
    consume old 0 | cmp - "$TEST_DIR/old"
}

# All serve, hold every record in sync, and take more.
all_is_well() {
    local number
    for number in "${NODES[@]}"; do
        check "$1: node $number is known where it is" wait_for 20 known_at "$number" "${member_ports[$number]}"
    done
    check "$1: all are in sync" wait_for 30 all_in_sync old 1 3
    echo "$1" >> "$TEST_DIR/old"
    check "$1: a record is taken" produce old 0 <<< "$1"
    check "$1: all records are there" reads_back
}

cluster_open 3
cluster_start
make_topic old 1
seq -f 'record %g' 1 500 > "$TEST_DIR/old"
produce old 0 < "$TEST_DIR/old"

moved=$(controller)
member_stop "$moved"
new=(9092 9092 9092)
new[moved - 1]=9192
ports "${new[@]}"
member_start "$moved" || finish
all_is_well 'one node elsewhere, after a clean stop'

for number in "${NODES[@]}"; do member_kill "$number"; done
ports 9292 9293 9294
for number in "${NODES[@]}"; do member_launch "$number" "$cluster_list"; done
for number in "${NODES[@]}"; do member_await "$number" || finish; done
all_is_well 'all elsewhere, after they were killed'
for number in "${NODES[@]}"; do member_stop "$number"; done
finish
