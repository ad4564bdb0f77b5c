#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Topics, partitions and configurations are made, listed, changed and removed as directories and files are.
. "$(dirname "$0")/../harness.sh"
needs kcat

start_node
cd "$MOUNT" || exit 1
check_equal 'an empty node lists nothing' '' "$(ls)"
check 'mkdir makes a topic' mkdir orders
check_equal 'with one partition' 0 "$(ls orders)"
check 'that Kafka clients see' sh -c "kcat -L -b $BOOTSTRAP | grep -q 'topic \"orders\" with 1 partitions'"
check 'touch adds the next' touch orders/1
check_equal 'and the next' '0 1' "$(ls orders | xargs)"
check 'the count is a file' bash -c 'echo 4 > orders/.config/partitions'
check_equal 'that grows the topic' '0 1 2 3' "$(ls orders | xargs)"
check_equal 'and says so' 4 "$(cat orders/.config/partitions)"
check_error 'fewer cannot be' 'Invalid argument' bash -c 'echo 2 > orders/.config/partitions'
check_equal 'nor did it' 4 "$(cat orders/.config/partitions)"

check 'a topic whose name begins with a dot' mkdir %2Ehidden
check_equal 'is listed escaped' '%2Ehidden orders' "$(ls | xargs)"
check 'and has its name for Kafka clients' sh -c "kcat -L -b $BOOTSTRAP | grep -q 'topic \".hidden\"'"
check 'it is a topic like others' append_line %2Ehidden/0 seen
check_equal 'for both' seen "$(consume .hidden 0)"
echo made | kcat -P -b "$BOOTSTRAP" -t automatic
check_equal 'a topic that a client made is there' made "$(cat automatic/0)"

check_equal 'a default' -1 "$(cat orders/.config/retention.ms)"
check 'a configuration is written' bash -c 'echo 604800000 > orders/.config/retention.ms'
check_equal 'and read' 604800000 "$(cat orders/.config/retention.ms)"
check_error 'a value that cannot be' 'Invalid argument' bash -c 'echo soon > orders/.config/retention.ms'
check_equal 'leaves it' 604800000 "$(cat orders/.config/retention.ms)"
check 'the word default puts the default back' bash -c 'echo default > orders/.config/retention.ms'
check_equal 'as is seen' -1 "$(cat orders/.config/retention.ms)"
check_error 'an unknown key' 'Invalid argument' bash -c 'echo 1 > orders/.config/retention.msec'
check 'has a reason' grep -q 'retention.msec.*nearest is retention.ms' .errors
check 'all keys are listed' sh -c 'ls orders/.config | grep -qx cleanup.policy'
check 'every one can be read' sh -c 'cat orders/.config/* > /dev/null'

# What every key shows is taken back, and changes nothing: what is not set, what is, and an empty list.
echo 1000 > orders/.config/segment.ms
echo > orders/.config/cleanup.policy
check_equal 'an empty list is a value' '' "$(cat orders/.config/cleanup.policy)"
echo 65536 > orders/.config/internal.segment.bytes
check 'a key without a default' grep -qx 65536 orders/.config/internal.segment.bytes
echo > orders/.config/internal.segment.bytes
cp -r orders/.config "$TEST_DIR/before"
written_back() {
    local key
    for key in orders/.config/*; do
        cat "$TEST_DIR/before/${key##*/}" > "$key" || return 1
        cp "$TEST_DIR/before/${key##*/}" "$key" || return 1
    done
}
check 'every key takes what it shows' written_back
check 'and shows it again' diff -r orders/.config "$TEST_DIR/before"
check 'every key has a default' bash -c 'for key in orders/.config/*.*; do
    [ ${key##*/} = replication.factor ] || echo default > $key || exit 1; done'
check_equal 'also lists' delete "$(cat orders/.config/cleanup.policy)"

echo 1000 > orders/.config/segment.ms
append_line orders/2 'one record'
check_error 'rm -r of a topic is refused' 'Operation not permitted' rm -r orders
check 'its configuration says how to reset' grep -q 'unlink.*segment.ms.*EPERM.*echo default > segment.ms' .errors
check_equal 'and nothing was lost: its configuration' 1000 "$(cat orders/.config/segment.ms)"
check_equal 'its records' 'one record' "$(cat orders/2)"
check_error 'directories are not made in a topic' 'Operation not permitted' mkdir orders/eu
check 'the reason says what to do' grep -q 'mkdir.orders/eu.EPERM.*touch N adds partition N.*mkdir orders.eu' .errors
check_equal '.info names its columns' partition "$(head -n 1 orders/.info | cut -f 1)"
check_equal 'and has a line a partition' 4 "$(tail -n +2 orders/.info | wc -l)"
check_equal 'with its offsets' '0 1 1 1' "$(awk -F'\t' '$1 == 2 { print $5, $6, $7, $8 }' orders/.info)"
if command -v getfattr > /dev/null; then
    check_equal 'the high watermark is an attribute' 1 "$(getfattr --only-values -n user.kafka.hwm orders/2)"
    check 'attributes are listed' sh -c 'getfattr -d -m user.kafka orders/2 | grep -q leader'
fi
check_equal 'healthy' ok "$(cat .health)"
check 'there is help' grep -q mkdir .help
check 'the node is listed' sh -c 'ls .brokers | grep -q .'
check_equal 'and online' online "$(cat .brokers/*/state)"
check 'the cluster has an id' grep -q . .cluster/id
check_not 'the configuration shows no secret' grep -i 'password=[^[]' .config

number=$(stat -c %i orders)
check 'rmdir deletes a topic' rmdir orders
check_not 'it is gone' test -e orders
check 'for Kafka clients too' sh -c "! kcat -L -b $BOOTSTRAP | grep -q 'topic \"orders\"'"
mkdir orders
check_not 'made again it is another' test "$number" = "$(stat -c %i orders)"
check_equal 'and empty' '' "$(cat orders/0)"

exec 5>> orders/0 6< orders/0
rmdir orders
check_error 'an open file of a deleted topic: writing' 'Stale file handle' bash -c 'echo x >&5'
check_error 'an open file of a deleted topic: reading' 'Stale file handle' sh -c 'cat <&6'
exec 5>&- 6<&-

number=$(stat -c %i automatic/0)
cd / || exit 1
stop_node
start_node
check_equal 'the number is the same after a restart' "$number" "$(stat -c %i "$MOUNT/automatic/0")"
check_equal 'and the record is there' made "$(cat "$MOUNT/automatic/0")"
stop_node
finish
