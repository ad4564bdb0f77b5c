#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Power cuts under producers, CUTS times, on an ext4 that forgets what was not flushed: nothing acknowledged is lost.
: "${CUTS:=8}"
limit_seconds=$((90 + CUTS * 10))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/producers.sh"
. "$(dirname "$0")/disk.sh"

build_producers
cc -std=gnu11 -Wall -Wextra -Werror -o "$TEST_DIR/power_cut" "$crash_dir/power_cut.c" || fail 'power_cut builds'
make_disk 512M

# The cut is a cut: what was flushed is there after it, what was not is gone.
echo kept > "$TEST_DIR/data/kept"
sync "$TEST_DIR/data/kept"
echo lost > "$TEST_DIR/data/lost"
"$TEST_DIR/power_cut" "$TEST_DIR/data" || skip_all "$TEST_NAME: this ext4 cannot be shut down"
unmount_disk && mount_disk
check_equal 'a power cut keeps what was flushed' kept "$(cat "$TEST_DIR/data/kept")"
check_not 'and loses what was not' test -s "$TEST_DIR/data/lost"
rm -f "$TEST_DIR/data/kept" "$TEST_DIR/data/lost"

settings=(num.partitions=3 log.segment.bytes=1048576)
start_node "${settings[@]}"
mkdir "$MOUNT/port" "$MOUNT/files"
start_port_producer port 3 p1 idempotent
start_port_producer port 3 p2 idempotent compression.codec=lz4
start_port_producer port 3 p3 plain
start_file_writer files 0 f1
start_file_writer files 0 f2
start_file_writer files 1 f3

survived=0
for ((cut = 1; cut <= CUTS; cut++)); do
    let_it_work 300 || break
    remember_last_acknowledged
    # The node first: ext4 that is shut down answers some fsyncs with success (jbd2_complete_transaction of a
    # transaction that was aborted), and in a real cut nobody is there to hear it.
    kill_node
    "$TEST_DIR/power_cut" "$TEST_DIR/data" || break
    unmount_disk || { fail 'the disk can be unmounted'; break; }
    mount_disk
    start_node "${settings[@]}"
    last_acknowledged_are_there || { fail "cut $cut: what was acknowledged last is there"; break; }
    survived=$cut
done
check_equal 'the node came back after every cut' "$CUTS" "$survived"
stop_producers
check_topic port 3
check_topic files 2
stop_node
unmount_disk
finish
