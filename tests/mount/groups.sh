#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The offsets a consumer group has committed are files, for reading and for writing.
. "$(dirname "$0")/../harness.sh"
needs kcat

start_node offsets.topic.num.partitions=3
cd "$MOUNT" || exit 1
mkdir orders
touch orders/1
seq 100 >> orders/0

check_equal 'no groups at first' '' "$(ls .groups)"
check 'mkdir makes one' mkdir .groups/billing
check_equal 'it is listed' billing "$(ls .groups)"
check_error 'once' 'File exists' mkdir .groups/billing
check 'an offset is written' bash -c 'echo 42 > .groups/billing/orders/0'
check_equal 'and read' 42 "$(cat .groups/billing/orders/0)"
group_consumer() {
    timeout 20 kcat -G billing -q -e -b "$BOOTSTRAP" -X auto.offset.reset=earliest orders
}
place() {
    echo "$1" > .groups/billing/orders/0 && check_equal "$1" "$2" "$(cat .groups/billing/orders/0)"
}
check 'words and steps:' true
place start 0
place end 100
place -10 90
place +5 95
place -1000 0
place +1000 100
place @-1h 0
place @2000-01-01 0
place @9999-01-01T00:00:00Z 100
place 97 97
check_error 'an offset that is not there' 'Numerical result out of range' bash -c 'echo 101 > .groups/billing/orders/0'
check_error 'what is no offset' 'Invalid argument' bash -c 'echo soon > .groups/billing/orders/0'
check_equal 'neither changed it' 97 "$(cat .groups/billing/orders/0)"

check_error 'offsets are not removed as a topic' 'Operation not permitted' rmdir __consumer_offsets
check 'with a reason' grep -q '__consumer_offsets.*EPERM.*internal' .errors

check_equal 'the topics of a group' orders "$(ls .groups/billing)"
check_equal 'the partitions with an offset' 0 "$(ls .groups/billing/orders)"
check_equal 'the lag' $'orders\t0\t97\t100\t3\t-' "$(grep orders .groups/billing/.lag)"
check_equal 'the state' Empty "$(tail -n 1 .groups/billing/.state | cut -f 1)"
check_equal 'no members' 1 "$(wc -l < .groups/billing/.members)"

check_equal 'a consumer of the group goes on from there' $'98\n99\n100' "$(group_consumer)"
check 'and what it commits is seen' wait_for 10 grep -qx 100 .groups/billing/orders/0

kcat -G active -q -b "$BOOTSTRAP" orders > /dev/null 2>&1 &
consumer=$!
has_member() { [ "$(wc -l < .groups/active/.members)" = 2 ]; }
check 'a group with a member' wait_for 20 has_member
check_error 'is not deleted' 'Device or resource busy' rmdir .groups/active
check_error 'nor are its offsets written' 'Device or resource busy' bash -c 'echo start > .groups/active/orders/0'
check 'the reason is kept' grep -q 'active/orders/0.*EBUSY.*has members' .errors
kill $consumer
wait $consumer 2> /dev/null
is_empty() { grep -q ^Empty .groups/active/.state; }
check 'when the member has left' wait_for 60 is_empty
check 'it is deleted' rmdir .groups/active

check_error 'rm -r of a group is refused' 'Operation not permitted' rm -r .groups/billing
check 'with what to do' grep -q 'unlink..groups/billing/orders/0.EPERM.*echo none' .errors
check_equal 'and loses no offset' 100 "$(cat .groups/billing/orders/0)"
check 'the word none forgets one' bash -c 'echo none > .groups/billing/orders/0'
check_not 'it is gone' test -e .groups/billing/orders/0
check 'another is written' bash -c 'echo 0 > .groups/billing/orders/1'
check 'rmdir deletes the group' rmdir .groups/billing
check_equal 'none is left' '' "$(ls .groups)"
mkdir '.groups/a%20b%2Fc'
check 'ids are escaped' bash -c "echo 3 > '.groups/a%20b%2Fc/orders/0'"

cd / || exit 1
stop_node
start_node offsets.topic.num.partitions=3
check_equal 'offsets are there after a restart' 3 "$(cat "$MOUNT/.groups/a%20b%2Fc/orders/0")"
stop_node
finish
