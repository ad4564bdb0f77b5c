#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Consumer groups are the same files on every mount: seen, read, written and deleted through any node, also while the
# coordinator is killed, and Kafka clients agree.
limit_seconds=120
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"

# Everything of group $1 that node $2's mount shows.
view() {
    (cd "$(mount_of "$2")/.groups/$1" && cat .state .members .protocol .coordinator .lag orders/* && ls . orders)
}

views_agree() {
    local number first
    first=$(view "$1" "${NODES[0]}") || return 1
    for number in "${NODES[@]:1}"; do [ "$(view "$1" "$number")" = "$first" ] || return 1; done
}

# All mounts of the living list exactly these groups.
lists_groups() {
    local number
    for number in "${NODES[@]}"; do
        member_runs "$number" || continue
        [ "$(ls "$(mount_of "$number")/.groups" | tr '\n' ' ')" = "$*${1:+ }" ] || return 1
    done
}

offset_at() {
    [ "$(cat "$(mount_of "$1")/.groups/$2/orders/$3")" = "$4" ]
}

# What a Kafka client is told: what a consumer of the group has not read yet.
next_of() {
    timeout 20 kcat -G "$1" -b "$BOOTSTRAP" -q -e -X auto.offset.reset=earliest -X session.timeout.ms=6000 orders
}

cluster_open 3
cluster_start offsets.topic.num.partitions=12 group.initial.rebalance.delay.ms=0
one=$(mount_of 1) two=$(mount_of 2) three=$(mount_of 3)
mkdir "$one/orders"
echo 2 > "$one/orders/.config/partitions"
check 'the topic is everywhere' wait_for 10 test -d "$three/orders"
check 'with both partitions' wait_for 10 test -e "$two/orders/1" -a -e "$three/orders/1"
seq 100 >> "$one/orders/0"
seq 50 >> "$two/orders/1"

# Groups enough that every node coordinates one.
groups=$(seq -f 'g%g' 1 9 | sort | tr '\n' ' ')
for number in 1 2 3 4 5 6 7 8 9; do
    root=$(mount_of $((number % 3 + 1)))
    mkdir "$root/.groups/g$number" && echo $((number * 10)) > "$root/.groups/g$number/orders/0" || fail "g$number through node $((number % 3 + 1))"
done
# shellcheck disable=SC2086
check 'every mount lists all groups' wait_for 10 lists_groups $groups
coordinators=$(cat "$one"/.groups/*/.coordinator | sort -u | wc -l)
check "several nodes coordinate them ($coordinators)" test "$coordinators" -gt 1
for number in 1 5 9; do check "g$number looks the same everywhere" wait_for 10 views_agree "g$number"; done
check_error 'a group is made once' 'File exists' mkdir "$three/.groups/g1"
check 'what one node writes' bash -c "echo 40 > $two/.groups/g1/orders/1"
check_equal 'another reads' 40 "$(cat "$three/.groups/g1/orders/1")"

place() {
    echo "$2" > "$(mount_of "$1")/.groups/g2/orders/1"
    check_equal "$2 through node $1" "$3" "$(cat "$(mount_of $(($1 % 3 + 1)))/.groups/g2/orders/1")"
}
place 1 end 50
place 2 -10 40
place 3 +5 45
place 1 start 0
place 2 @2000-01-01 0
place 3 @9999-01-01T00:00:00Z 50
place 1 17 17
for number in 1 2 3; do
    check_error "an offset that is not there through node $number" 'Numerical result out of range' \
        bash -c "echo 51 > $(mount_of "$number")/.groups/g2/orders/1"
done
check_equal 'the lag' $'orders\t0\t20\t100\t80\t-\norders\t1\t17\t50\t33\t-' "$(grep orders "$three/.groups/g2/.lag")"

echo 98 > "$two/.groups/g3/orders/0"
echo end > "$two/.groups/g3/orders/1"
check_equal 'a consumer goes on from what a file says' $'99\n100' "$(next_of g3)"
for number in 1 2 3; do check "node $number sees what it commits" wait_for 10 offset_at "$number" g3 0 100; done

kcat -G active -q -b "$BOOTSTRAP" -X auto.offset.reset=earliest -X session.timeout.ms=6000 -X auto.commit.interval.ms=200 orders > /dev/null 2>&1 &
consumer=$!
is_stable_everywhere() {
    local number
    for number in 1 2 3; do
        grep -q ^Stable "$(mount_of "$number")/.groups/active/.state" 2> /dev/null &&
            [ "$(grep -c rdkafka "$(mount_of "$number")/.groups/active/.members")" = 1 ] || return 1
    done
}
check 'a group with a member is seen everywhere' wait_for 20 is_stable_everywhere
echo 'something to read' >> "$two/orders/0"
reads_everywhere() {
    local number
    for number in 1 2 3; do
        grep -Eq $'^orders\t0\t101\t101\t0\trdkafka' "$(mount_of "$number")/.groups/active/.lag" || return 1
    done
}
check 'and who reads what' wait_for 20 reads_everywhere
check_equal 'by which protocol' "$(cat "$one/.groups/active/.protocol")" "$(awk -F'\t' 'NR == 2 { print $3 }' "$three/.groups/active/.state")"
for number in 1 2 3; do
    check_error "and not deleted through node $number" 'Device or resource busy' rmdir "$(mount_of "$number")/.groups/active"
    check_error 'nor written' 'Device or resource busy' bash -c "echo start > $(mount_of "$number")/.groups/active/orders/0"
done
kill $consumer
wait $consumer 2> /dev/null
is_empty() { grep -q ^Empty "$one/.groups/active/.state"; }
check 'when the member has left' wait_for 30 is_empty
check 'any node deletes it' rmdir "$two/.groups/active"
check 'forgetting an offset through another node' bash -c "echo none > $three/.groups/g1/orders/1"
check_not 'it is gone' test -e "$one/.groups/g1/orders/1"

# The coordinator of g4 goes while the others write.
coordinator=$(cat "$one/.groups/g4/.coordinator")
others=$(printf '%s\n' "${NODES[@]}" | grep -vx "$coordinator")
for number in $others; do
    (for offset in $(seq 1 40); do echo "$offset" > "$(mount_of "$number")/.groups/g4/orders/0" || exit 1; done) &
    writers+=("$!")
done
member_kill "$coordinator"
for pid in "${writers[@]}"; do check 'a writer of offsets never sees that its coordinator is killed' wait "$pid"; done
for number in $others; do
    check "the last offset is there, on node $number" wait_for 20 offset_at "$number" g4 0 40
    check "and those of other groups of that node" wait_for 20 offset_at "$number" g7 0 70
    check_equal "its groups are listed by node $number" "$groups" "$(ls "$(mount_of "$number")/.groups" | tr '\n' ' ')"
done
for number in $others; do check 'each deletes one' rmdir "$(mount_of "$number")/.groups/g$((number + 4))"; done
check 'it comes back' member_start "$coordinator"
left=
for group in $groups; do
    for number in $others; do [ "$group" != "g$((number + 4))" ] || continue 2; done
    left+=$group' '
done
# shellcheck disable=SC2086
check 'and lists what is left' wait_for 20 lists_groups $left
check 'as the others' wait_for 20 views_agree g9
finish
