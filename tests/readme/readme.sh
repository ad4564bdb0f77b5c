#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command of the README's five minutes works, in its order, and shows what the README says it shows.
limit_seconds=180
. "$(dirname "$0")/../harness.sh"

needs unshare ip kcat
[ "$(id -u)" -eq 0 ] || skip_all "$TEST_NAME: needs root for a machine of its own"
unshare --mount --net true 2> /dev/null || skip_all "$TEST_NAME: no namespaces here"
[ -x "$TOPICFS" ] || { fail "no node to start: $TOPICFS is not built"; finish; }

# The lines of the README's sh blocks: each a command of its own.
awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$source_root/README.md" > "$TEST_DIR/tour"
check 'the README has a tour' [ "$(wc -l < "$TEST_DIR/tour")" -ge 15 ]

# A machine of its own as the quick start leaves it: a node at /mnt/kafka and port 9092. Each command's output and
# status go to files of their own; all run in one shell, which a failing command ends.
cat > "$TEST_DIR/machine.sh" <<'INSIDE'
set -e
directory=$2
ip link set lo up
mkdir -p /mnt /var/lib/topicfs
mount -t tmpfs data /var/lib/topicfs
mount -t tmpfs mount /mnt
mkdir /mnt/kafka /var/lib/topicfs/home
export TOPICFS=$1 HOME=/var/lib/topicfs/home LINES_WRITTEN=2000
cd "$3"
"$1" --override log.dirs=/var/lib/topicfs/data /mnt/kafka > "$directory/start" 2>&1
number=0
while IFS= read -r command <&9; do
    number=$((number + 1))
    echo "$command" > "$directory/$number.command"
    eval "$command" > "$directory/$number.out" 2> "$directory/$number.err" < /dev/null || exit
    touch "$directory/$number.done"
done 9< "$directory/tour"
umount /mnt/kafka
timeout 20 tail --pid="$(cat /var/lib/topicfs/data/topicfs.pid)" -f /dev/null
touch "$directory/stopped"
INSIDE
timeout 150 unshare --mount --net --pid --fork --kill-child --mount-proc \
    bash "$TEST_DIR/machine.sh" "$TOPICFS" "$TEST_DIR" "$source_root" < /dev/null > "$TEST_DIR/machine.log" 2>&1

number=0
while IFS= read -r command; do
    number=$((number + 1))
    check "$command" test -e "$TEST_DIR/$number.done"
    [ -e "$TEST_DIR/$number.done" ] || { head -n 5 "$TEST_DIR/$number.err" "$TEST_DIR/machine.log" 2> /dev/null; break; }
done < "$TEST_DIR/tour"
check 'the node stops afterwards' test -e "$TEST_DIR/stopped"

# output_of COMMAND [NTH]: what the README's line COMMAND printed, the NTH time it is there.
output_of() {
    cat "$TEST_DIR/$(grep -nxF -- "$1" "$TEST_DIR/tour" | sed -n "${2:-1}s/:.*//p").out"
}
topic=/mnt/kafka/orders
check_equal 'reading a partition shows its records' $'first order\nsecond\nthird' "$(output_of "cat $topic/0")"
check_equal 'its last line' third "$(output_of "tail -n 1 $topic/0" 1)"
check_equal 'grep counts' 1 "$(output_of "grep -c order $topic/0")"
check_equal 'kcat reads the same' "$(output_of "cat $topic/0")" \
    "$(output_of 'kcat -C -b 127.0.0.1:9092 -t orders -p 0 -e -q')"
check_equal 'what a client produces is the last line' 'from a client' "$(output_of "tail -n 1 $topic/0" 2)"
check_equal 'partitions are listed' $'0\n1' "$(output_of "ls $topic")"
check_equal 'records are kept for ever' -1 "$(output_of "cat $topic/.config/retention.ms")"
check 'the topic tells about its partitions' [ "$(output_of "cat $topic/.info" | grep -c '^[01]')" -eq 2 ]
check_equal 'the group is where kcat left it' 4 "$(output_of 'cat /mnt/kafka/.groups/billing/orders/0')"
check 'and was sent back: it lags by all' grep -qE '^orders[[:blank:]]+0[[:blank:]]+0[[:blank:]]+4[[:blank:]]+4' \
    <(output_of 'cat /mnt/kafka/.groups/billing/.lag')
check_equal 'the node is well' ok "$(output_of 'cat /mnt/kafka/.health' | cut -c 1-2)"
check 'the reason of a refusal is told' grep -q 'mkdir.*two.*EINVAL.*a topic name is' <(output_of 'tail -n 1 /mnt/kafka/.errors')
check 'the manual is a page' [ "$(output_of 'cat /mnt/kafka/.help' | wc -l)" -ge 20 ]
three=$(output_of ./examples/three_nodes.sh)
check 'the cluster forms' grep -q '^formed in [0-9]* ms' <<< "$three"
check 'in under 10 s' [ "$(sed -n 's/^formed in \([0-9]*\) ms/\1/p' <<< "$three")" -lt 10000 ]
check 'and loses nothing with its leader' grep -q '^all 2000 lines are there' <<< "$three"
check_equal 'what one node wrote another reads' 'paid on node 2' \
    "$(output_of 'timeout 10 tail -n 1 -f ~/topicfs-three/3/mount/payments/0 | head -n 1')"
check 'the topic has three replicas in sync' grep -qE '^0[[:blank:]][123][[:blank:]]([123],){2}[123][[:blank:]]([123],){2}[123]' \
    <(output_of 'cat ~/topicfs-three/3/mount/payments/.info')
finish
