#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Files of partitions that a node has no replica of are read there as anywhere: by every tool, followed, and equal.
limit_seconds=120
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"

file_of() {
    echo "$(mount_of "$1")/far/$2"
}

size_is() {
    [ "$(stat -c %s "$1")" = "$2" ]
}

cluster_open 3
cluster_start num.partitions=3 default.replication.factor=1 min.insync.replicas=1 log.segment.bytes=1048576
one=$(mount_of 1)
mkdir "$one/far"
check 'three partitions of one replica, everywhere' wait_for 20 test -e "$(file_of 1 2)" -a -e "$(file_of 2 2)" -a -e "$(file_of 3 2)"
check_equal 'led by three nodes' 3 "$(tail -n +2 "$one/far/.info" | cut -f 3 | sort -u | wc -l)"

# Lines of many lengths, empty ones and large ones among them, in more than one segment.
awk 'BEGIN { srand(7); for (i = 1; i <= 30000; i++) { n = i % 97; line = i " "; while (n-- > 0) line = line "x"; if (i % 1000 == 0) for (n = 0; n < 2000; n++) line = line "0123456789"; if (i % 50 == 0) line = ""; print line } }' > "$TEST_DIR/lines"
size=$(stat -c %s "$TEST_DIR/lines")
sum=$(sha256sum < "$TEST_DIR/lines")
for partition in 0 1 2; do
    # Written by a node that has no replica of it.
    writer=$(($(info_column far "$partition" 2) % 3 + 1))
    cat "$TEST_DIR/lines" >> "$(file_of "$writer" "$partition")" || fail "written through node $writer"
    for number in 1 2 3; do
        file=$(file_of "$number" "$partition")
        check "partition $partition, node $number: its size" wait_for 5 size_is "$file" "$size"
        check_equal 'its bytes' "$sum" "$(sha256sum < "$file")"
        check_same 'cp' "$TEST_DIR/lines" <(cp "$file" /dev/stdout)
        check_equal 'wc' "$(wc < "$TEST_DIR/lines")" "$(wc < "$file")"
        check_equal 'tail -n' "$(tail -n 7 "$TEST_DIR/lines" | md5sum)" "$(tail -n 7 "$file" | md5sum)"
        check_equal 'tail -c' "$(tail -c 5000 "$TEST_DIR/lines" | md5sum)" "$(tail -c 5000 "$file" | md5sum)"
        check_equal 'head' "$(head -n 3 "$TEST_DIR/lines")" "$(head -n 3 "$file")"
        check_equal 'grep -n' "$(grep -n '^29[0-9]*7 x' "$TEST_DIR/lines")" "$(grep -n '^29[0-9]*7 x' "$file")"
        check_equal 'dd from the middle' "$(dd if="$TEST_DIR/lines" bs=4096 skip=200 count=3 2> /dev/null | md5sum)" "$(dd if="$file" bs=4096 skip=200 count=3 2> /dev/null | md5sum)"
        check_equal 'a view of it' "$(sed -n '101,105p' "$TEST_DIR/lines")" "$(cat "$file@100:105")"
        check_equal 'the last of it' "$(tail -n 2 "$TEST_DIR/lines")" "$(cat "$file@-2")"
        check_equal 'its attributes' "30000 $(info_column far "$partition" 2)" \
            "$(getfattr --absolute-names --only-values -n user.kafka.hwm "$file") $(getfattr --absolute-names --only-values -n user.kafka.leader "$file")"
    done
done

# Followed on every node, written on another one.
declare -a followers
for number in 1 2 3; do
    tail -n 0 -s 0.1 -f "$(file_of "$number" 0)" > "$TEST_DIR/followed.$number" &
    followers[number]=$!
done
has_followed() {
    [ "$(tail -n 1 "$TEST_DIR/followed.$1")" = "$2" ]
}
# A tail says nothing of when it has looked first: lines are written until each has seen one.
everybody_follows() {
    echo first >> "$(file_of 1 0)"
    has_followed 1 first && has_followed 2 first && has_followed 3 first
}
check 'tail -f sees what is written' wait_for 20 everybody_follows
for number in 1 2 3; do for line in $(seq 20); do echo "node $number line $line" >> "$(file_of "$number" 0)"; done; done
for number in 1 2 3; do
    check "the follower on node $number has all of it" wait_for 10 has_followed "$number" 'node 3 line 20'
    check_equal 'once and in order' "$(for writer in 1 2 3; do seq -f "node $writer line %g" 20; done)" "$(grep line "$TEST_DIR/followed.$number")"
done
kill "${followers[@]}"
wait "${followers[@]}" 2> /dev/null

check_error 'none can be cut off' 'Operation not permitted' truncate -s 0 "$(file_of 1 0)"
check_error 'nor removed' 'Operation not permitted' rm "$(file_of 2 1)"
leader=$(info_column far 2 2)
exec 5>> "$(file_of $((leader % 3 + 1)) 2)" 6< "$(file_of $((leader % 3 + 1)) 2)"
check 'the topic is removed on one node' rmdir "$one/far"
is_gone() { ! test -e "$(file_of 1 0)" && ! test -e "$(file_of 2 0)" && ! test -e "$(file_of 3 0)"; }
check 'and gone on all' wait_for 10 is_gone
check_error 'who has it open is told when writing' 'Stale file handle' bash -c 'echo x >&5'
check_error 'and when reading' 'Stale file handle' sh -c 'cat <&6'
exec 5>&- 6<&-
finish
