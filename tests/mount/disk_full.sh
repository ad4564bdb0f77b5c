#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The disk has room for the three segments of 8 MiB that libraft keeps.
# On a full disk fsync(2) does not say that a line begun is stored: it is not.
. "$(dirname "$0")/../harness.sh"
needs python3
[ "$(id -u)" = 0 ] || skip_all 'a disk of its own needs root'

mkdir "$TEST_DIR/data"
mount -t tmpfs -o size=48m data "$TEST_DIR/data" || skip_all 'no tmpfs can be mounted here'
start_node
mkdir "$MOUNT/orders" "$MOUNT/fill"
append_line "$MOUNT/orders/0" before
fill() { yes 'a line of a file that fills the disk' | head -c 64000000 >> "$MOUNT/fill/0"; }
check_error 'writing until it is full' 'No space left on device' fill

# Half a megabyte fits nowhere any more.
python3 - "$MOUNT/orders/0" << 'PYTHON'
import errno, os, sys
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        return
    raise SystemExit("%s succeeded" % call)
file = os.open(sys.argv[1], os.O_WRONLY)
refused(os.write, file, b"x" * 500000 + b"\n")
assert os.write(file, b"x" * 500000) == 500000
refused(os.fsync, file)
os.fsync(file)
os.close(file)
PYTHON
check_equal 'write says so, and fsync of a line begun; told once, it is dropped' 0 $?
check_equal 'nothing of it is there' before "$(cat "$MOUNT/orders/0")"
check 'the reason is kept' grep -q 'fsync.*orders/0.*ENOSPC' "$MOUNT/.errors"
stop_node
finish
