#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The quick start works, works again while its node runs, and again after a stop; without a network.
limit_seconds=300
. "$(dirname "$0")/../harness.sh"

needs unshare ip
[ "$(id -u)" -eq 0 ] || skip_all 'quickstart: needs root for a machine of its own'

# A machine of its own: no network but the loopback, and nothing where the quick start leaves its things.
cat > "$TEST_DIR/machine.sh" <<'INSIDE'
set -u
ip link set lo up
mkdir -p /var/lib/topicfs
mount -t tmpfs data /var/lib/topicfs
mount -t tmpfs mount /mnt
cd "$1" || exit 1
stop_and_wait() {
    local pid
    pid=$(cat /var/lib/topicfs/topicfs.pid) && umount /mnt/kafka && timeout 20 tail --pid="$pid" -f /dev/null
}
examples/quickstart.sh > "$2/first" 2>&1; echo $? > "$2/first.status"
cat /mnt/kafka/greetings/0 > "$2/greetings.first"
examples/quickstart.sh > "$2/second" 2>&1; echo $? > "$2/second.status"
stop_and_wait; echo $? > "$2/stop.status"
examples/quickstart.sh > "$2/third" 2>&1; echo $? > "$2/third.status"
cat /mnt/kafka/greetings/0 > "$2/greetings.third"
stop_and_wait
INSIDE
unshare --mount --net --pid --fork --kill-child --mount-proc \
    bash "$TEST_DIR/machine.sh" "$source_root" "$TEST_DIR" < /dev/null
for run in first second third; do
    check_equal "the $run run" 0 "$(cat "$TEST_DIR/$run.status")"
    [ "$(cat "$TEST_DIR/$run.status")" = 0 ] || tail -n 15 "$TEST_DIR/$run"
    check "the $run run says how to look around" grep -q '^Look around:  ls /mnt/kafka' "$TEST_DIR/$run"
    check "the $run run says how to stop" grep -q '^Stop it:      umount /mnt/kafka' "$TEST_DIR/$run"
    check "the $run run followed three lines" [ "$(grep -c '^hello from kcat' "$TEST_DIR/$run")" -eq 3 ]
done
check_equal 'the way to stop it that it says stops it' 0 "$(cat "$TEST_DIR/stop.status")"
check 'the second run used the node that ran' grep -q 'runs at /mnt/kafka already' "$TEST_DIR/second"
check_equal 'the first run left three greetings' 3 "$(wc -l < "$TEST_DIR/greetings.first")"
check_equal 'what was there before the stop is there after it' "$(cat "$TEST_DIR/greetings.first")" \
    "$(head -n 3 "$TEST_DIR/greetings.third")"
check_equal 'and each run added its three' 9 "$(wc -l < "$TEST_DIR/greetings.third")"
finish
