#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes with one list form one cluster; what is written on one mount is read on the others and at every port.
limit_seconds=180
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"

same_everywhere() {
    local number
    for number in "${NODES[@]}"; do
        [ "$(cat "$(mount_of "$number")/$1")" = "$2" ] || return 1
    done
}

cluster_open 3
began=${EPOCHREALTIME/[.,]/}
cluster_start
took_ms=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
check "the cluster formed in under 10 s ($took_ms ms)" test "$took_ms" -lt 10000
check_equal 'every node has the same cluster id' 1 \
    "$(for number in "${NODES[@]}"; do cat "$(mount_of "$number")/.cluster/id"; done | sort -u | wc -l)"
check 'a directory is a topic on every node' mkdir "$(mount_of 1)/orders"
check 'of three replicas' wait_for 10 isr_is_full orders 0 3
for number in "${NODES[@]}"; do
    check "a line is written through node $number" append_line "$(mount_of "$number")/orders/0" "from $number"
done
check 'and all are read on every mount' wait_for 10 same_everywhere orders/0 $'from 1\nfrom 2\nfrom 3'
for number in "${NODES[@]}"; do
    check_equal "and at the port of node $number" $'from 1\nfrom 2\nfrom 3' \
        "$(kcat -C -q -e -b "$(address_of "$number")" -t orders -p 0 -o beginning)"
done
for number in "${NODES[@]}"; do member_stop "$number"; done
for number in "${NODES[@]}"; do member_launch "$number" "$cluster_list"; done
for number in "${NODES[@]}"; do member_await "$number" || finish; done
check 'after a stop of all it is all there' wait_for 20 same_everywhere orders/0 $'from 1\nfrom 2\nfrom 3'
finish
