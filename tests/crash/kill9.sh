#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 under producers by port and by file, ROUNDS times: nothing acknowledged is lost or out of order, nothing doubled.
: "${ROUNDS:=25}"
limit_seconds=$((90 + ROUNDS * 10))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/producers.sh"

build_producers
settings=(num.partitions=3 log.segment.bytes=1048576)
start_node "${settings[@]}"
mkdir "$MOUNT/port" "$MOUNT/files" "$MOUNT/both"
echo replicated > "$MOUNT/both/.config/topicfs.durability"
start_port_producer port 3 p1 idempotent
start_port_producer port 3 p2 idempotent compression.codec=lz4
start_port_producer port 3 p3 plain
start_file_writer files 0 f1
start_file_writer files 0 f2
start_file_writer files 1 f3
start_port_producer both 3 p4 idempotent compression.codec=zstd
start_file_writer both 1 f4

survived=0
for ((round = 1; round <= ROUNDS; round++)); do
    let_it_work 200 || break
    remember_last_acknowledged
    kill_node
    start_node "${settings[@]}"
    last_acknowledged_are_there || { fail "round $round: what was acknowledged last is there"; break; }
    survived=$round
    if ((round % 25 == 0 && round < ROUNDS)); then check_topic port 1; fi
done
check_equal 'the node came back after every kill' "$ROUNDS" "$survived"
stop_producers
check_topic port 3
check_topic files 2
check_topic both 3
check_equal 'the dead mounts are gone: one is there' 1 "$(grep -c " $MOUNT " /proc/self/mounts)"
stop_node
finish
