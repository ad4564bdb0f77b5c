#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Files damaged while the node is stopped: what can be made anew is, damaged records are told and never served.
limit_seconds=150
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/refusal.sh"

needs kcat python3
settings=(log.segment.bytes=1048576 num.partitions=2)
start_node "${settings[@]}"
mkdir "$MOUNT/orders" "$MOUNT/other"
seq -f '%06g a record of some length, so that there are segments' 1 50000 > "$TEST_DIR/sent"
dd if="$TEST_DIR/sent" of="$MOUNT/orders/0" bs=20000 oflag=append conv=notrunc status=none
seq -f 'other %g' 1 1000 >> "$MOUNT/other/0"
cat "$MOUNT/other/0" > "$TEST_DIR/other"
check 'there are several segments' [ "$(find "$TEST_DIR/data/orders-0" -name '*.log' | wc -l)" -ge 3 ]
stop_node
cp -a "$TEST_DIR/data" "$TEST_DIR/sound"

restore() {
    rm -rf "$TEST_DIR/data"
    cp -a "$TEST_DIR/sound" "$TEST_DIR/data"
}

# spoil HOW FILE...
spoil() {
    python3 - "$@" <<'PYTHON'
import os, sys
for path in sys.argv[2:]:
    data = open(path, "rb").read()
    how, middle = sys.argv[1], len(data) // 2
    if how == "removed":
        os.unlink(path)
        continue
    data = {"emptied": b"", "cut": data[:max(middle - 3, 0)], "zeroed": bytes(len(data)),
            "grown": data + b"\xff" * 40, "flipped": bytes(byte ^ 0x55 for byte in data)}[how]
    open(path, "wb").write(data)
PYTHON
}

# flip OFFSET FILE: another byte there; a negative offset counts from the end.
flip() {
    python3 - "$1" "$2" <<'PYTHON'
import os, sys
with open(sys.argv[2], "r+b") as file:
    at = int(sys.argv[1])
    file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
    byte = file.read(1)[0]
    file.seek(-1, os.SEEK_CUR)
    file.write(bytes([byte ^ 0x41]))
PYTHON
}

# All is there, by file and by port.
all_is_there() {
    cmp "$TEST_DIR/sent" "$MOUNT/orders/0" && cmp "$TEST_DIR/other" "$MOUNT/other/0" &&
        cmp "$TEST_DIR/sent" <(consume orders 0) && tail -n 1 "$MOUNT/orders/0" | cmp - <(tail -n 1 "$TEST_DIR/sent")
}

# What is derived from the records is made anew, after a clean stop and after another.
for how in removed emptied cut zeroed grown flipped; do
    for clean in yes no; do
        restore
        for kind in index timeindex lineindex snapshot; do
            find "$TEST_DIR/data" -name "*.$kind" -print0 > "$TEST_DIR/list"
            mapfile -d '' files < "$TEST_DIR/list"
            spoil "$how" "${files[@]}"
        done
        [ $clean = yes ] || rm "$TEST_DIR/data/.kafka_cleanshutdown"
        start_node "${settings[@]}"
        check "indexes and snapshots $how, clean stop: $clean" all_is_there
        stop_node
    done
done
for how in removed emptied cut flipped; do
    restore
    spoil "$how" "$TEST_DIR"/data/*-checkpoint "$TEST_DIR"/data/{orders,other}-*/leader-epoch-checkpoint
    start_node "${settings[@]}"
    check "checkpoints and epochs $how" all_is_there
    check 'and the partition takes records' append_line "$MOUNT/orders/0" more
    stop_node
done

# Records themselves: what is damaged is told, its partition alone suffers, and no wrong byte comes out.
first_segment() {
    find "$TEST_DIR/data/orders-0" -name '*.log' | sort | head -n 1
}
active_segment() {
    find "$TEST_DIR/data/orders-0" -name '*.log' | sort | tail -n 1
}
only_sent_lines() {
    ! grep -vxFf "$TEST_DIR/sent" | grep -q .
}
for clean in yes no; do
    restore
    [ $clean = yes ] || rm "$TEST_DIR/data/.kafka_cleanshutdown"
    flip 500000 "$(first_segment)"
    : > "$NODE_LOG"
    start_node "${settings[@]}"
    check "a flipped byte in a closed segment (clean stop: $clean): the other topic is whole" \
        cmp "$TEST_DIR/other" "$MOUNT/other/0"
    timeout 20 cat "$MOUNT/orders/0" > "$TEST_DIR/read" 2> "$TEST_DIR/said"
    check 'reading it by file ends in an error' grep -q 'Input/output error' "$TEST_DIR/said"
    check 'no line is read that was not sent' only_sent_lines < "$TEST_DIR/read"
    timeout 5 kcat -C -q -e -b "$BOOTSTRAP" -t orders -p 0 -X check.crcs=true > "$TEST_DIR/read" 2> "$TEST_DIR/said"
    check 'nor by port' only_sent_lines < "$TEST_DIR/read"
    check 'the node reports it in a line that names the partition' \
        grep -qE 'level=error .*topic=orders partition=0' "$NODE_LOG"
    stop_node
done
restore
start_node "${settings[@]}"
seq -f 'written before the kill %g' 1 2000 | tee -a "$TEST_DIR/sent" | dd bs=2000 of="$MOUNT/orders/0" \
    oflag=append conv=notrunc iflag=fullblock status=none
kill_node
flip -30 "$(active_segment)"
: > "$NODE_LOG"
start_node "${settings[@]}"
cat "$MOUNT/orders/0" > "$TEST_DIR/read" 2> /dev/null
check 'a flipped byte in the last batch after an unclean stop: no line that was not sent' only_sent_lines < "$TEST_DIR/read"
check 'and the node says so' grep -qE 'level=(warning|error) .*topic=orders partition=0' "$NODE_LOG"
check 'all but the last batch is there' [ "$(wc -l < "$TEST_DIR/read")" -gt 51800 ]
stop_node

# The node's own papers: refused, in one line that names the file.
restore
spoil flipped "$TEST_DIR/data/meta.properties"
check 'a damaged meta.properties is refused by name' refuses_to_start meta.properties
restore
spoil emptied "$TEST_DIR/data/meta.properties"
check 'so is an empty one' refuses_to_start meta.properties
for how in cut zeroed flipped; do
    restore
    mapfile -t files < <(find "$TEST_DIR/data/raft" -type f -size +0 -name '0*' | sort)
    spoil "$how" "${files[@]}"
    check "a metadata log that is $how is refused by name" refuses_to_start raft
done
restore
spoil flipped "$TEST_DIR/data/raft"/metadata*
check 'damaged metadata of the metadata log are refused by name' refuses_to_start raft
restore
start_node "${settings[@]}"
head -n 50000 "$TEST_DIR/sent" > "$TEST_DIR/first" && mv "$TEST_DIR/first" "$TEST_DIR/sent"
check 'what was refused was not touched: the sound copy starts' all_is_there
stop_node
finish
