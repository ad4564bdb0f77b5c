#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Wall clocks that jump by seconds, hours and years, on each node by itself, under clients: nothing is lost, it is told once.
: "${JUMPS:=8}"
limit_seconds=$((120 + JUMPS * 10))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

library=$(find /usr/lib -name libfaketimeMT.so.1 2> /dev/null | head -n 1)
[ -n "$library" ] || skip_all "$TEST_NAME: libfaketime is not installed"

# jump N OFFSET: from now on the wall clock of node N shows that much more. Its monotonic clock is left alone: no
# administrator sets that.
jump() {
    echo "$2" > "$TEST_DIR/$1/clock.new"
    mv "$TEST_DIR/$1/clock.new" "$TEST_DIR/$1/clock"
}

skew_is_told() {
    cat "$TEST_DIR"/[123]/node.log | grep -q "event=clock_skew"
}

clients_build
cluster_open 3
member_launch_wrapped() {
    # shellcheck disable=SC2034 # member_launch reads it.
    member_wrapper=(env "LD_PRELOAD=$library" "FAKETIME_TIMESTAMP_FILE=$TEST_DIR/$1/clock" FAKETIME_NO_CACHE=1
        FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1)
    member_launch "$@"
}
cluster_settings=(log.segment.bytes=1048576 log.retention.check.interval.ms=1000)
for number in "${NODES[@]}"; do
    jump "$number" +0
    member_launch_wrapped "$number" "$cluster_list"
done
for number in "${NODES[@]}"; do member_await "$number" || finish; done
clients_begin
offsets=(+3600 -3600 +30 +31536000 -86400 +315360000 -30 +0)
jumps=0
for ((round = 0; round < JUMPS; round++)); do
    clients_work 300 "before jump $round" || break
    jump $((RANDOM % 3 + 1)) "${offsets[round % ${#offsets[@]}]}"
    clients_work 1000 "after a jump by ${offsets[round % ${#offsets[@]}]} s" || break
    jumps=$((round + 1))
done
check_equal 'the cluster went on after every jump' "$JUMPS" "$jumps"
check 'clocks that differ are told' wait_for 10 skew_is_told
for number in "${NODES[@]}"; do jump "$number" +0; done
clients_work 100 'at last'
clients_end
check 'no node was fenced for its wall clock' test -z "$(cat "$TEST_DIR"/[123]/node.log | grep event=node_fenced)"
finish
