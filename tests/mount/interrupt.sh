#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whoever waits for the node can be interrupted, also when the disk hangs: no process is left that cannot be killed.
. "$(dirname "$0")/../harness.sh"
needs strace python3

start_node topicfs.durability=fsync
cd "$MOUNT" || exit 1
mkdir orders slow
append_line orders/0 before
exec 5>> orders/0

# Every flush, and every write of the metadata log, now takes six seconds.
strace -qq -f -e trace=fdatasync,fsync,io_submit \
    -e inject=fdatasync,fsync,io_submit:delay_enter=6000000 -p "$NODE_PID" \
    > "$TEST_DIR/strace" 2>&1 &
tracer=$!
is_traced() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$NODE_PID/status"; }
if ! wait_for 10 is_traced; then skip_all 'strace cannot attach here'; fi

# Runs a command that has to wait and sends it a signal after half a second: it must be gone soon after.
ends_by() {
    local signal=$1 begun=$EPOCHSECONDS
    shift
    (timeout -s "$signal" 0.5 "$@") 2>> "$TEST_DIR/said"
    local status=$?
    [ $((EPOCHSECONDS - begun)) -lt 4 ] && { [ $status -eq 124 ] || [ $status -eq 137 ]; }
}
check 'a write that waits, SIGKILL' ends_by KILL bash -c 'echo killed >> orders/0'
check 'a write that waits, SIGINT' ends_by INT python3 -c 'open("orders/0", "ab", 0).write(b"interrupted\n")'
check 'a write that waits, SIGTERM' ends_by TERM dd of=orders/0 oflag=append conv=notrunc status=none <<< terminated
check 'fsync' ends_by KILL python3 -c '
import os
file = os.open("orders/0", os.O_WRONLY | os.O_APPEND)
os.write(file, b"unended")
os.fsync(file)'
check 'mkdir' ends_by KILL mkdir other
check 'a configuration' ends_by KILL bash -c 'echo 1000 > slow/.config/retention.ms'
readable() { timeout 2 grep -qx before orders/0; }
check 'readers are not kept waiting' readable
kill $tracer
wait $tracer 2> /dev/null

goes_on() { timeout 10 bash -c 'echo after >> orders/0' && grep -qx after orders/0; }
check 'the node goes on afterwards' wait_for 30 goes_on
check_equal 'no process is left behind' '' "$(pgrep -f 'killed >> orders/0')"
exec 5>&-
cd / || exit 1
stop_node
finish
