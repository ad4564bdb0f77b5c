#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A mount comes and goes with its node, and takes no other's place.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/orders"
append_line "$MOUNT/orders/0" one

refused() {
    local said
    said=$("$TOPICFS" -f --override "log.dirs=$TEST_DIR/other" --override listeners=PLAINTEXT://127.0.0.1:0 "$@" 2>&1) &&
        return 1
    echo "$said" >> "$TEST_DIR/refused"
    [ "$(echo "$said" | wc -l)" -eq 1 ]
}
check 'a second node on the same point is refused in one line' refused "$MOUNT"
check_equal 'and the first goes on' one "$(cat "$MOUNT/orders/0")"
mkdir "$TEST_DIR/full" && touch "$TEST_DIR/full/file"
check 'a directory that is not empty' refused "$TEST_DIR/full"
check 'a file' refused "$TEST_DIR/full/file"
check 'a path that is not there' refused "$TEST_DIR/none"
mkdir "$TEST_DIR/point"
check 'an unknown option' refused -o akcs=1 "$TEST_DIR/point"
check 'the option is named' grep -q 'akcs=1' "$TEST_DIR/refused"
check 'data inside the mount point' refused --override "log.dirs=$TEST_DIR/point/data" "$TEST_DIR/point"
if [ "$(id -u)" = 0 ]; then
    mount -t tmpfs none "$TEST_DIR/point"
    check 'a mount of something else' refused "$TEST_DIR/point"
    umount "$TEST_DIR/point"
fi

exec 5>> "$MOUNT/orders/0"
echo two >&5
kill_node
check_error 'a killed node: open files' 'Transport endpoint is not connected' bash -c 'echo lost >&5'
check_error 'a killed node: the path' 'Transport endpoint is not connected' ls "$MOUNT"
exec 5>&-
start_node
check_equal 'its mount is replaced, and every record is there' $'one\ntwo' "$(cat "$MOUNT/orders/0")"

printf 'unended' >> "$MOUNT/orders/0" &
wait $!
exec 5>> "$MOUNT/orders/0"
printf 'open' >&5
stop_node
exec 5>&-
check_not 'a stopped node leaves no mount' mountpoint -q "$MOUNT"
start_node
check_equal 'lines without an end were stored' $'one\ntwo\nunended\nopen' "$(cat "$MOUNT/orders/0")"

node_stopped() { ! kill -0 "$NODE_PID" 2> /dev/null; }
detach() { fusermount3 -u "$MOUNT" 2> /dev/null || umount "$MOUNT"; }
check_error 'a mount in use is not taken away' busy sh -c "cd '$MOUNT' && umount '$MOUNT'"
check 'fusermount3 -u or umount' detach
check 'stops the node' wait_for 20 node_stopped
wait "$NODE_PID"
check_equal 'cleanly' 0 $?
NODE_PID=
start_node
check_equal 'with everything there' $'one\ntwo\nunended\nopen' "$(cat "$MOUNT/orders/0")"

python3 - "$MOUNT/orders/0" "$NODE_PID" << 'PYTHON'
import os, subprocess, sys
# A hundred followers hold little memory.
def resident(pid):
    with open("/proc/%s/statm" % pid) as file:
        return int(file.read().split()[1]) * 4096
before = resident(sys.argv[2])
files = [os.open(sys.argv[1], os.O_RDONLY) for _ in range(1000)]
for file in files:
    assert len(os.read(file, 1 << 20)) == 21
    assert os.read(file, 1 << 20) == b""
grown = resident(sys.argv[2]) - before
assert grown < 16 << 20, grown
PYTHON
check_equal 'a thousand followers cost little memory' 0 $?
stop_node
finish
