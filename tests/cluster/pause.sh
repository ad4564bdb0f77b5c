#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nodes stopped by SIGSTOP, PAUSES times, under clients: what a leader acknowledges after it was fenced is there, or it does not.
: "${PAUSES:=8}"
limit_seconds=$((120 + PAUSES * 20))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

# A produce request that reaches a leader while it is paused, and its answer: "ERROR OFFSET", or "none".
late_request() {
    python3 - "$source_root/tests/hostile" "$cluster_net.$1" "$2" "$3" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import kafka
try:
    with kafka.Connection(9092, timeout=20, host=sys.argv[2]) as connection:
        error, offset = kafka.produce(connection, "late", kafka.batch([sys.argv[3].encode()]), acks=int(sys.argv[4]))
        print(error, offset)
except (OSError, EOFError) as failure:
    print("none", failure)
PYTHON
}

leads_no_more() {
    local now
    now=$(leader_of late 0) && [ "$now" != "$1" ] && [ "$now" -ge 0 ]
}

is_fenced_and_replaced() {
    wait_for 15 leads_no_more "$1"
}

# Only the node's own answers count: a member that is paused hangs whoever looks at its mount.
pause_late_leader() {
    local leader answer acks
    for acks in "$@"; do
        wait_for 20 all_in_sync late 1 3 || { fail 'replicas of the topic come back'; return 1; }
        leader=$(leader_of late 0)
        member_pause "$leader"
        late_request "$leader" "late with acks $acks" "$acks" > "$TEST_DIR/late" &
        check "a paused leader is replaced (acks=$acks)" is_fenced_and_replaced "$leader"
        append_there "after $acks"
        member_resume "$leader"
        wait $!
        answer=$(cat "$TEST_DIR/late")
        if [ "${answer%% *}" = 0 ]; then
            check "what it acknowledged late is there ($answer)" \
                grep -qx "late with acks $acks" <(consume late 0)
        else
            pass "it did not acknowledge what came late ($answer)"
        fi
    done
    wait_for 20 all_in_sync late 1 3
    check_equal 'what was written meanwhile is there once' $# "$(consume late 0 | grep -c '^after')"
    replicas_agree late 1
}

# By the living alone: kcat asks the first that takes its connection.
append_there() {
    check 'others write to the new leader meanwhile' write_beside "$1"
}

write_beside() {
    BOOTSTRAP=$(address_of "$(leader_of late 0)") produce late 0 <<< "$1"
}

clients_build
cluster_open 3
cluster_start log.segment.bytes=1048576
make_topic late 1
pause_late_leader -1 1
plain_kind=unordered # journal.h
clients_begin
kinds=(leader controller follower two)
paused=0
for ((round = 0; round < PAUSES; round++)); do
    clients_work 300 "before pause $round" || break
    leader=$(leader_of port $((RANDOM % 3)))
    other=$(printf '%s\n' "${NODES[@]}" | grep -vx "$leader" | shuf -n 1)
    case ${kinds[round % 4]} in
    leader) stopped=$leader ;;
    controller) stopped=$(controller) ;;
    follower) stopped=$other ;;
    two) stopped="$leader $other" ;;
    esac
    for number in $stopped; do member_pause "$number"; done
    wait_a_moment 4000
    for number in $stopped; do member_resume "$number"; done
    paused=$((round + 1))
done
check_equal 'the cluster went on after every pause' "$PAUSES" "$paused"
clients_work 100 'at last'
clients_end
finish
