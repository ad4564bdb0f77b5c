#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Networks cut whole, one way, between two nodes and by loss, PARTITIONS times on five nodes under clients: nothing is lost.
: "${PARTITIONS:=30}"
limit_seconds=$((150 + PARTITIONS * 15))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

another_than() {
    printf '%s\n' "${NODES[@]}" | grep -vx "$1" | shuf -n 1
}

# What KIND does to the network. Where a majority of every partition's replicas still hears each other and the clients,
# writers go on meanwhile: goes_on says so.
break_network() {
    local leader other number
    leader=$(leader_of port $((RANDOM % 3)))
    other=$(another_than "$leader")
    goes_on=no
    case $1 in
    leader) cut_off "$leader" && goes_on=yes ;;
    controller) cut_off "$(controller)" && goes_on=yes ;;
    follower) cut_off "$other" && goes_on=yes ;;
    inward) cut_in "$leader" ;;
    outward) cut_out "$leader" ;;
    between) cut_between "$leader" "$other" ;;
    two) cut_off "$leader" && cut_off "$other" ;;
    lossy) for number in "${NODES[@]}"; do lose "$number" $((5 + RANDOM % 16)); done ;;
    esac
}

clients_build
cluster_open 5
cluster_start log.segment.bytes=1048576
plain_kind=unordered # journal.h
clients_begin
kinds=(leader between inward lossy controller outward two follower)
cuts=0
for ((round = 0; round < PARTITIONS; round++)); do
    kind=${kinds[round % ${#kinds[@]}]}
    clients_work 300 "before cut $round" && wait_for 40 all_in_sync port 3 3 ||
        { fail "replicas are in sync before cut $round ($kind)"; break; }
    break_network "$kind"
    went_on=yes
    if [ $goes_on = yes ]; then
        clients_work 500 "with the $kind cut off" || went_on=no
    else
        wait_a_moment 3000
    fi
    for number in "${NODES[@]}"; do heal "$number"; done
    [ $went_on = yes ] || break
    cuts=$((round + 1))
done
check_equal 'the cluster came through every cut' "$PARTITIONS" "$cuts"
clients_work 100 'at last'
clients_end
finish
