#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of leaders, followers, the controller and two of three at once, CYCLES times under clients: nothing is lost.
: "${CYCLES:=60}"
limit_seconds=$((120 + CYCLES * 12))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

# victims KIND: the nodes to be killed, one or two of them.
victims() {
    local leader others
    leader=$(leader_of port $((RANDOM % 3)))
    # shellcheck disable=SC2207
    others=($(printf '%s\n' "${NODES[@]}" | grep -vx "$leader" | shuf))
    case $1 in
    leader) echo "$leader" ;;
    follower) echo "${others[0]}" ;;
    controller) controller ;;
    two) echo "$leader ${others[0]}" ;;
    esac
}

# One cycle. A single one that is down is not missed: the others go on without it, every other time.
cycle() {
    local kind=$1 number down in_sync=no
    if ((RANDOM % 2)); then wait_for 20 all_in_sync port 3 3 || { fail 'replicas come back in sync'; return 1; }; fi
    ! all_in_sync port 3 3 || in_sync=yes
    down=$(victims "$kind")
    for number in $down; do member_kill "$number"; done
    if [ "$kind" != two ] && [ "$in_sync" = yes ] && ((RANDOM % 2)); then
        clients_work 300 "without node $down" || return 1
    fi
    for number in $down; do member_launch "$number" "$cluster_list"; done
    for number in $down; do member_await "$number" || return 1; done
    kills=$((kills + $(wc -w <<< "$down")))
}

clients_build
cluster_open 3
cluster_start log.segment.bytes=1048576
# journal.h: what waits in the client for a leader that was killed goes behind what the next one got meanwhile.
plain_kind=unordered
clients_begin
kinds=(leader controller follower two leader)
cycles=0 kills=0
for ((round = 0; round < CYCLES; round++)); do
    kind=${kinds[round % ${#kinds[@]}]}
    clients_work 300 || break
    cycle "$kind" || { fail "cycle $round, kill of $kind"; break; }
    cycles=$((round + 1))
done
check_equal "the cluster went on after each of $kills kills" "$CYCLES" "$cycles"
clients_work 100
clients_end
finish
