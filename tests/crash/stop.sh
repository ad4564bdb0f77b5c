#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SIGTERM under load, again and again: nothing acknowledged is lost, the stop is clean and the start after it quick.
: "${STOPS:=8}"
limit_seconds=$((90 + STOPS * 10))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/producers.sh"
. "$(dirname "$0")/refusal.sh"

build_producers
settings=(num.partitions=3 log.segment.bytes=1048576)
start_node "${settings[@]}"
check 'a second node on the same data directory is refused' refuses_to_start 'in use'
check 'and the first goes on' mkdir "$MOUNT/port" "$MOUNT/files"
start_port_producer port 3 p1 idempotent
start_port_producer port 3 p2 plain
start_file_writer files 0 f1
start_file_writer files 1 f2

# Prints field $1 of the last report of event $2.
reported() {
    grep "event=$2 " "$NODE_LOG" | tail -n 1 | grep -o "$1=[^ ]*" | cut -d = -f 2
}
survived=0
slowest_ms=0
for ((round = 1; round <= STOPS; round++)); do
    let_it_work 200 || break
    remember_last_acknowledged
    stop_node
    [ "$(reported took_ms node_stopped)" -le "$slowest_ms" ] || slowest_ms=$(reported took_ms node_stopped)
    start_node "${settings[@]}"
    [ "$(reported clean node_started)" = yes ] || { fail "round $round: the stop was clean"; break; }
    last_acknowledged_are_there || { fail "round $round: what was acknowledged last is there"; break; }
    survived=$round
done
check_equal 'the node came back clean after every stop' "$STOPS" "$survived"
check "no stop under load took longer than 3 s (the slowest: $slowest_ms ms)" [ "$slowest_ms" -lt 3000 ]
stop_producers
check_topic port 3
check_topic files 2
stop_node
start_node "${settings[@]}"
check 'the start after a clean stop takes less than a second' [ "$(reported took_ms node_started)" -lt 1000 ]
stop_node
finish
