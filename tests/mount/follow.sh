#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Followers of a partition see every record once, whoever appends it, while retention removes the head.
. "$(dirname "$0")/../harness.sh"
needs kcat python3

start_node log.segment.bytes=1048576 log.retention.check.interval.ms=200 log.initial.task.delay.ms=200 \
    log.segment.delete.delay.ms=0
cd "$MOUNT" || exit 1
mkdir web
append_line web/0 first

tail -n +1 -f web/0 > "$TEST_DIR/followed" &
tail_f=$!
tail -n +1 -s 0.1 -F web/0 > "$TEST_DIR/followed.name" &
tail_F=$!
python3 - web/0 "$TEST_DIR/followed.python" << 'PYTHON' &
import select, sys
with open(sys.argv[1]) as source, open(sys.argv[2], "w") as sink:
    while True:
        line = source.readline()
        if line:
            sink.write(line)
            sink.flush()
            if line == "last\n":
                break
        else:
            select.select([], [], [], 0.05)  # As a follower polls: the end is a line, the test has the deadline.
PYTHON
follower=$!
check 'tail -f shows what is there' wait_for 10 grep -qx first "$TEST_DIR/followed"
echo produced | produce web 0
check 'and what a Kafka client produces' wait_for 10 grep -qx produced "$TEST_DIR/followed"
append_line web/0 appended
check 'and what is appended' wait_for 10 grep -qx appended "$TEST_DIR/followed"
check 'so does tail -F' wait_for 10 grep -qx appended "$TEST_DIR/followed.name"

if command -v inotifywait > /dev/null; then
    inotifywait -q -t 10 -e modify web/0 > "$TEST_DIR/notified" 2>&1 &
    notified=$!
    touched() { touch -m web/0 && grep -q MODIFY "$TEST_DIR/notified"; }
    wait_for 10 touched
    wait $notified
    check 'a change of times wakes who watches' grep -q 'MODIFY\|ATTRIB' "$TEST_DIR/notified"
fi

# Retention: five segments come and most go while the followers read.
size_before=$(stat -c %s web/0)
number=$(stat -c %i web/0)
exec 6< web/0
seq -f '%06g: a record that fills the segments of a partition until its head is removed' 60000 > "$TEST_DIR/many"
cat "$TEST_DIR/many" >> web/0
size_after=$(stat -c %s web/0)
check 'the size grows' test "$size_after" -gt "$size_before"
echo 1048576 > web/.config/retention.bytes
head_removed() { [ "$(awk -F'\t' '$1 == 0 { print $5 }' web/.info)" -gt 0 ]; }
check 'retention removes the head' wait_for 20 head_removed
check_equal 'the size does not shrink' "$size_after" "$(stat -c %s web/0)"
check_equal 'nor does the number change' "$number" "$(stat -c %i web/0)"
start=$(awk -F'\t' '$1 == 0 { print $5 }' web/.info)
cat web/0 > "$TEST_DIR/rest"
check_same 'cat reads what is left, from the first record that is' \
    <(cat <(printf 'first\nproduced\nappended\n') "$TEST_DIR/many" | tail -n +$((start + 1))) "$TEST_DIR/rest"
check_equal 'so does head' "$(head -n 1 "$TEST_DIR/rest")" "$(head -n 1 web/0)"
check_equal 'tail -n is right' "$(tail -n 3 "$TEST_DIR/many")" "$(tail -n 3 web/0)"
check_equal 'grep finds the last' 1 "$(grep -c '^060000:' web/0)"
cp web/0 "$TEST_DIR/copy"
check_same 'cp copies what is left' "$TEST_DIR/rest" "$TEST_DIR/copy"
check_same 'a file opened before it' "$TEST_DIR/rest" <(cat <&6)
check 'du shows what is kept' test "$(du -k web/0 | cut -f 1)" -lt 4000
exec 6<&-
append_line web/0 last
check 'tail -f goes on' wait_for 10 grep -qx last "$TEST_DIR/followed"
check 'tail -F too' wait_for 10 grep -qx last "$TEST_DIR/followed.name"
check 'python too' wait_for 10 grep -qx last "$TEST_DIR/followed.python"
kill $tail_f $tail_F
wait $tail_f $tail_F $follower 2> /dev/null
check_equal 'tail -f repeated nothing' 1 "$(grep -cx first "$TEST_DIR/followed")"
check_equal 'nor did tail -F' 1 "$(grep -cx first "$TEST_DIR/followed.name")"
check_equal 'and it showed no line twice' '' "$(sort "$TEST_DIR/followed" | uniq -d)"

cd / || exit 1
stop_node
finish
