#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Odd and hostile use of the mount: killed writers, hung daemons, thousands of files, calls that make no sense here.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/orders"
touch "$MOUNT/orders/1"
cd "$MOUNT/orders" || exit 1

python3 - "$TEST_DIR" << 'PYTHON'
import ctypes, errno, os, signal, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def fails(numbers, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno in numbers, (call, error)
        return
    raise SystemExit("%s succeeded" % call)

# Writers killed anywhere in a write of many megabytes leave whole records only.
for number in range(8):
    script = "import os\nf = os.open('0', os.O_WRONLY | os.O_APPEND)\nb = (b'%d' * 9999 + b'\\n') * 800\nwhile 1: os.write(f, b)" % number
    writer = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 10
    begun = os.stat("0").st_size
    while os.stat("0").st_size == begun and time.monotonic() < deadline:
        pass
    writer.send_signal(signal.SIGKILL)
    writer.wait()
with open("0", "rb") as whole:
    for line in whole:
        assert line in [b"%d" % number * 9999 + b"\n" for number in range(8)], line[:20]

# Five thousand open files, and as many closed again.
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (6000, 6000))
files = [os.open("0", os.O_RDWR) for _ in range(5000)]
assert os.pread(files[4999], 5, 0) == b"00000"
for file in files: os.close(file)

file = os.open("0", os.O_RDWR)
fails([errno.EOPNOTSUPP, errno.EINVAL], os.open, ".", os.O_TMPFILE | os.O_RDWR)
target = os.open(sys.argv[1] + "/clone", os.O_RDWR | os.O_CREAT)
import fcntl
fails([errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL], fcntl.ioctl, target, 0x40049409, file)  # FICLONE
fails([errno.ENOTTY, errno.EOPNOTSUPP], fcntl.ioctl, file, 0x12345678)
fails([errno.EINVAL], os.pread, file, 10, 2**63 - 1)
fails([errno.EINVAL], os.lseek, file, -1, os.SEEK_SET)
fails([errno.EXDEV, errno.EOPNOTSUPP], os.copy_file_range, file, target, 100000, 0)
fails([errno.EINVAL, errno.EXDEV, errno.EBADF], os.copy_file_range, target, os.open("1", os.O_WRONLY | os.O_APPEND), 10, 0)
assert os.stat("1").st_size == 0
fails([errno.E2BIG, errno.EOPNOTSUPP], os.setxattr, "0", "user.x", b"x" * 65537)
fails([errno.EPERM], os.mkdir, "sub")
fails([errno.ENOTDIR], os.rmdir, "0")
PYTHON
check_equal 'killed writers, many files, odd calls' 0 $?

# A daemon that hangs: whoever waits can be killed; afterwards it goes on.
kill -STOP "$NODE_PID"
is_stopped() { ! grep -h ^State: "/proc/$NODE_PID"/task/*/status | grep -qv 'T (stopped)'; }
check 'a daemon is stopped' wait_for 5 is_stopped
begun=$EPOCHSECONDS
timeout -s KILL 0.5 cat 0 > /dev/null 2>&1
timeout -s KILL 0.5 bash -c 'echo x >> 1' 2> /dev/null
timeout -s KILL 0.5 ls "$MOUNT" > /dev/null 2>&1
check 'callers of a hung daemon can be killed' test $((EPOCHSECONDS - begun)) -lt 8
kill -CONT "$NODE_PID"
check 'and it goes on' wait_for 10 append_line 1 after
check 'with the record' wait_for 5 grep -qx after 1

# Appenders, readers, listings and topics that come and go, all at once.
storm() {
    local round pids=()
    for round in 1 2 3; do
        (for n in $(seq 100); do echo "$round $n" >> 1 || exit 1; done) & pids+=($!)
        (for n in $(seq 30); do cat 0 > /dev/null || exit 1; done) & pids+=($!)
        (for n in $(seq 30); do mkdir "$MOUNT/t$round" && echo x >> "$MOUNT/t$round/0" && rmdir "$MOUNT/t$round" || exit 1; done) & pids+=($!)
        (for n in $(seq 30); do ls -lR "$MOUNT" > /dev/null 2>&1; cat "$MOUNT"/.errors "$MOUNT"/orders/.info > /dev/null || exit 1; done) & pids+=($!)
    done
    for round in "${pids[@]}"; do wait "$round" || return 1; done
}
check 'everything at once' storm
check_equal 'and no record was lost' 300 "$(grep -c '^[123] ' 1)"
check_equal 'the topics are gone' orders "$(ls "$MOUNT")"

# Detached while a writer has it open: the writer is told, the node stops, what was acknowledged is there.
(
    exec 5>> 1
    number=0
    while echo "late $number" >&5; do
        number=$((number + 1))
        echo "$number" > "$TEST_DIR/acknowledged"
    done
) 2> /dev/null &
writer=$!
wrote() { [ -s "$TEST_DIR/acknowledged" ]; }
wait_for 5 wrote
cd / || exit 1
check 'a lazy umount while writing' umount -l "$MOUNT"
stop_node
wait $writer
start_node
check 'every acknowledged record is there' test \
    "$(grep -c '^late' "$MOUNT/orders/1")" -ge "$(cat "$TEST_DIR/acknowledged")"
stop_node
finish
