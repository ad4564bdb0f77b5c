# SPDX-License-Identifier: Apache-2.0
# What every shell test here is written with: a node of its own, checks that count, waits with deadlines.
#
# A test is one executable file tests/SUITE/NAME.sh (SUITE: mount, node, hostile, crash, readme, clients):
#
#     #!/usr/bin/env bash
#     # SPDX-License-Identifier: Apache-2.0
#     # One sentence: the situation and what is owed.
#     limit_seconds=60                          # optional, 120 when not said; the whole test is ended then
#     . "$(dirname "$0")/../harness.sh"
#
#     start_node log.retention.ms=1000          # "key=value..." are passed on as --override
#     mkdir "$MOUNT/orders"
#     check 'a line echoed is a record' append_line "$MOUNT/orders/0" hello
#     check_equal 'and comes back' hello "$(cat "$MOUNT/orders/0")"
#     check_error 'truncation is refused' 'Operation not permitted' truncate -s 0 "$MOUNT/orders/0"
#     check 'a consumer sees it' wait_for 5 sees_record hello
#     stop_node
#     finish
#
# Run it by hand (`tests/mount/append.sh`) or by `tests/run.sh mount/append`, `tests/run.sh mount`. The node is
# $TOPICFS, by default build/broker/daemon/topicfs. Everything of one test is in $TEST_DIR, a new directory that
# is removed when the test passes and kept, with the node's report in node.log, when it fails.
#
#   start_node [KEY=VALUE...]     a node on $TEST_DIR/data, mounted at $MOUNT, serving $BOOTSTRAP (127.0.0.1:$PORT);
#                                 sets $NODE_PID. node_options=(-o ...) and mount=no (no mount) are looked at.
#                                 After stop_node or kill_node it starts again on the same data and port.
#   stop_node                     SIGTERM; fails unless the node ends by itself, with status 0, within 20 s
#   kill_node                     kill -9; the dead mount is left for the next start_node, as after a crash
#   wait_for SECONDS COMMAND...   repeats COMMAND until it succeeds; fails at the deadline. The only sleep there is
#   check WORDS COMMAND...        passes when COMMAND succeeds
#   check_not WORDS COMMAND...    passes when COMMAND fails
#   check_equal WORDS EXPECTED ACTUAL
#   check_same WORDS FILE FILE    passes when both files hold the same bytes
#   check_error WORDS TEXT COMMAND...  passes when COMMAND fails and says TEXT on standard error
#   pass WORDS, fail WORDS        count one
#   skip WORDS                    counts one skipped and goes on; WORDS name what is missing
#   skip_all WORDS                the same, and ends the test
#   finish                        ends the test: status 0 when no check failed. Needed as the last line
#   append_line FILE TEXT         echo TEXT >> FILE
#   produce TOPIC PARTITION       standard input, a record a line, through kcat (acks=all)
#   consume TOPIC PARTITION       all records so far, a line each, through kcat
#   needs COMMAND...              skip_all unless these programs are there
#
# Each check prints `ok - WORDS`, `not ok - WORDS` or `skip - WORDS`; tests/run.sh counts these lines, so a test
# in any language may print them itself.

set -u

: "${limit_seconds:=120}"
if [ -z "${HARNESS_LIMITED:-}" ]; then
    HARNESS_LIMITED=1 exec timeout --kill-after=15 "$limit_seconds" bash "$0" "$@"
fi
unset HARNESS_LIMITED

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${TOPICFS:=$source_root/build/broker/daemon/topicfs}"
: "${TEST_LOGS:=${TMPDIR:-/tmp}}"
TEST_NAME=$(basename "$(dirname "$0")")-$(basename "$0" .sh)
TEST_DIR=$(mktemp -d "$TEST_LOGS/topicfs-test-$TEST_NAME.XXXXXX")
MOUNT=$TEST_DIR/mount
PORT=
BOOTSTRAP=
NODE_PID=
NODE_LOG=$TEST_DIR/node.log
node_options=()
mount=yes
checks_failed=0
finished=no

pass() {
    echo "ok - $*"
}

fail() {
    checks_failed=$((checks_failed + 1))
    echo "not ok - $*"
}

skip() {
    echo "skip - $*"
}

skip_all() {
    skip "$@"
    finish
}

finish() {
    finished=yes
    [ "$checks_failed" -eq 0 ]
    exit
}

check() {
    local words=$1
    shift
    if "$@"; then pass "$words"; else fail "$words (status $? of: $*)"; fi
}

check_not() {
    local words=$1
    shift
    if "$@"; then fail "$words (succeeded: $*)"; else pass "$words"; fi
}

check_equal() {
    if [ "$2" = "$3" ]; then
        pass "$1"
        return
    fi
    fail "$1"
    diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | head -n 20 | sed 's/^</  expected:/; s/^>/  got:     /'
}

check_same() {
    if cmp "$2" "$3"; then pass "$1"; else fail "$1 ($2 and $3 differ)"; fi
}

check_error() {
    local words=$1 text=$2 said status
    shift 2
    said=$("$@" 2>&1 > /dev/null)
    status=$?
    if [ $status -eq 0 ]; then
        fail "$words (succeeded: $*)"
    elif [[ $said != *"$text"* ]]; then
        fail "$words (said: $said)"
    else
        pass "$words"
    fi
}

wait_for() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

needs() {
    local program
    for program; do
        command -v "$program" > /dev/null || skip_all "$TEST_NAME: $program is not installed"
    done
}

append_line() {
    echo "$2" >> "$1"
}

produce() {
    kcat -P -b "$BOOTSTRAP" -t "$1" -p "$2" -X acks=all -X topic.metadata.propagation.max.ms=5000
}

consume() {
    kcat -C -q -e -b "$BOOTSTRAP" -t "$1" -p "$2" -o beginning
}

port_answers() {
    (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# A free port below the range the kernel gives to outgoing connections, ours until the test ends.
choose_port() {
    local reserved=${TMPDIR:-/tmp}/topicfs-test-ports
    mkdir -p "$reserved"
    while :; do
        PORT=$((10000 + RANDOM % 20000))
        if mkdir "$reserved/$PORT" 2> /dev/null; then
            PORT_RESERVATION=$reserved/$PORT
            port_answers "$PORT" || break
            rmdir "$PORT_RESERVATION"
        fi
    done
    BOOTSTRAP=127.0.0.1:$PORT
}

node_runs() {
    [ -n "$NODE_PID" ] && kill -0 "$NODE_PID" 2> /dev/null
}

# A dead mount looks like one for as long as the kernel remembers its attributes: only a listing asks the node.
mount_answers() {
    mountpoint -q "$MOUNT" && ls "$MOUNT" > /dev/null 2>&1
}

node_is_up() {
    ! node_runs || { port_answers "$PORT" && { [ "$mount" = no ] || mount_answers; }; }
}

start_node() {
    local setting overrides=() target=(--no-mount)
    [ -x "$TOPICFS" ] || { fail "no node to start: $TOPICFS is not built"; finish; }
    [ -n "$PORT" ] || choose_port
    for setting; do overrides+=(--override "$setting"); done
    if [ "$mount" != no ]; then
        mkdir -p "$MOUNT" 2> /dev/null
        target=("$MOUNT")
    fi
    "$TOPICFS" -f --override "log.dirs=$TEST_DIR/data" \
        --override "listeners=PLAINTEXT://127.0.0.1:$PORT" "${overrides[@]}" "${node_options[@]}" \
        "${target[@]}" >> "$NODE_LOG" 2>&1 &
    NODE_PID=$!
    if wait_for "${start_seconds:-20}" node_is_up && node_runs; then return 0; fi
    fail "the node started"
    tail -n 5 "$NODE_LOG"
    finish
}

node_ended() {
    ! node_runs
}

stop_node() {
    local status
    kill -TERM "$NODE_PID" 2> /dev/null
    if ! wait_for 20 node_ended; then
        fail 'the node stopped within 20 s of SIGTERM'
        kill -KILL "$NODE_PID" 2> /dev/null
    fi
    wait "$NODE_PID"
    status=$?
    NODE_PID=
    [ $status -eq 0 ] || fail "the node stopped cleanly (status $status)"
}

kill_node() {
    kill -KILL "$NODE_PID"
    wait "$NODE_PID" 2> /dev/null
    NODE_PID=
}

# Whatever way the test ends: no process, no mount and no port reservation of ours stays.
clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$NODE_PID" ]; then
        kill -TERM "$NODE_PID" 2> /dev/null
        wait_for 5 node_ended || kill -KILL "$NODE_PID" 2> /dev/null
    fi
    if grep -q " $TEST_DIR/" /proc/self/mounts; then
        awk -v dir="$TEST_DIR/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts | sort -r |
            while read -r point; do fusermount3 -uz "$point" 2> /dev/null || umount -l "$point"; done
    fi
    [ -z "${PORT_RESERVATION:-}" ] || rmdir "$PORT_RESERVATION" 2> /dev/null
    if [ "$status" -eq 143 ]; then
        checks_failed=$((checks_failed + 1)) # The limit: whoever set it says so.
    elif [ "$finished" = no ]; then
        fail "$TEST_NAME came to its end (status $status)"
    fi
    if [ "$checks_failed" -eq 0 ]; then
        rm -rf --one-file-system "$TEST_DIR"
        exit 0
    fi
    echo "$TEST_NAME: kept $TEST_DIR"
    exit 1
}
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
