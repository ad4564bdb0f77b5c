#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A full disk: producers are told, readers and metadata go on, and writing goes on by itself once space is free.
limit_seconds=90
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/disk.sh"

needs kcat python3
make_disk 72M
fallocate -l 24M "$TEST_DIR/data/lost+found/reserve"
start_node log.segment.bytes=1048576 log.retention.check.interval.ms=1000 log.segment.delete.delay.ms=0
cd "$MOUNT" || exit 1
mkdir orders ballast
produce orders 0 <<< 'by port, before'
append_line orders/0 'by file, before'

# By file until it refuses; what was acknowledged is counted line by line.
cat > "$TEST_DIR/fill.py" <<'FILL'
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for number in range(100000):
    line = b"%06d " % number + b"x" * 8000 + b"\n"
    try:
        taken = os.write(file, line)
    except OSError as error:
        print(number, error.strerror)
        break
    assert taken == len(line), taken
FILL
fill() { python3 "$TEST_DIR/fill.py" ballast/0; }
read -r filled said <<< "$(fill)"
check_equal 'write(2) on a full disk' 'No space left on device' "$said"
check 'after many that were taken' [ "$filled" -gt 1000 ]
produce_fails() {
    ! kcat -P -b "$BOOTSTRAP" -t ballast -p 0 -X acks=all -X retries=0 -X message.timeout.ms=3000 \
        < <(head -c 100000 /dev/zero | tr '\0' y) > /dev/null 2> "$TEST_DIR/refused"
}
check 'a produce is refused' produce_fails
check 'and told that it is the disk' grep -qiE 'disk|storage' "$TEST_DIR/refused"
check 'a client of its own words: KAFKA_STORAGE_ERROR' python3 - "$source_root/tests/hostile" "$PORT" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import kafka
with kafka.Connection(int(sys.argv[2])) as connection:
    error, _ = kafka.produce(connection, "ballast", kafka.batch([b"z" * 100000]))
print("error", error)
sys.exit(error != 56)
PYTHON

check_equal 'reads by file go on' 'by port, before' "$(head -n 1 orders/0)"
check_equal 'reads by port go on' $'by port, before\nby file, before' "$(consume orders 0)"
check_equal 'the full partition has what was acknowledged' "$filled" "$(wc -l < ballast/0)"
check 'the port lists topics' grep -q '"orders"' <(kcat -L -b "$BOOTSTRAP" | tr -d '\r')
check 'the node says so in one line' grep -q 'event=append_refused.*free space' "$NODE_LOG"
check 'metadata: a topic can be made on a full disk' mkdir made
check 'the health file is readable' test -n "$(cat .health)"

# Space comes back when a topic goes; nobody restarts anything.
check 'the big topic can be removed' rmdir ballast
writable() { append_line orders/0 "after $1" 2> /dev/null; }
check 'writing by file goes on by itself' wait_for 20 writable file
check 'and by port' produce orders 0 <<< 'after port'
check_equal 'all acknowledged records are there, once each' \
    $'by port, before\nby file, before\nafter file\nafter port' "$(cat orders/0)"
cd / || exit 1
stop_node
start_node
check_equal 'and after a restart' $'by port, before\nby file, before\nafter file\nafter port' "$(cat "$MOUNT/orders/0")"
check 'so is the topic made on the full disk' test -d "$MOUNT/made"
check_not 'and the removed one is not' test -d "$MOUNT/ballast"

# Full again, and killed: what was acknowledged survives that, too.
mkdir "$MOUNT/ballast"
read -r filled said <<< "$(python3 "$TEST_DIR/fill.py" "$MOUNT/ballast/0")"
check_equal 'full a second time' 'No space left on device' "$said"
kill_node
cat /dev/zero > "$TEST_DIR/data/lost+found/rest" 2> /dev/null # What the node's end gave back.
check_equal 'nothing is free' 0 "$(($(df --output=avail -k "$TEST_DIR/data" | tail -n 1) / 64))"
start_node # On its own reserve.
check_equal 'a node killed on a full disk starts again and serves' "$filled" "$(wc -l < "$MOUNT/ballast/0")"
check_equal 'by port, too' 'by port, before' "$(consume orders 0 | head -n 1)"
check 'the node says that the disk is full' grep -q 'event=disk_full' "$NODE_LOG"
kill_node
rm "$TEST_DIR/data/lost+found/reserve" "$TEST_DIR/data/lost+found/rest"
start_node
check_equal 'kill -9 on a full disk loses nothing' "$filled" "$(wc -l < "$MOUNT/ballast/0")"
check_equal 'and the file has the right lines' "$filled" "$(cut -c 1-6 "$MOUNT/ballast/0" | sort -u | wc -l)"
check_equal 'and the reserve is there again' 1048576 "$(stat -c %s "$TEST_DIR/data/topicfs.reserve")"
stop_node
unmount_disk
finish
