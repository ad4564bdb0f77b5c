#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kcat (Debian's) produces with every codec and acknowledgement, consumes by offset and time, and shares a group.
limit_seconds=300
. "$(dirname "$0")/connect.sh"

needs kcat
connect
topic=$PREFIX.plain

produce_to() {
    kcat -P -b "$BOOTSTRAP" -t "$@"
}

read_partition() {
    kcat -C -q -e -b "$BOOTSTRAP" -t "$1" -p "$2" -o beginning "${@:3}"
}

lines() {
    seq -f "$1-%06g" 1 "$2"
}

metadata_names() {
    kcat -L -b "$BOOTSTRAP" -t "$1" 2> /dev/null | grep -q "topic \"$1\" with 3 partitions"
}

topic_is_there() {
    kcat -L -b "$BOOTSTRAP" -t "$topic" > /dev/null 2>&1
    metadata_names "$topic"
}

check 'metadata creates the topic with three partitions' wait_for 15 topic_is_there

lines plain 1000 > "$TEST_DIR/plain"
produce_to "$topic" -p 0 < "$TEST_DIR/plain"
read_partition "$topic" 0 > "$TEST_DIR/plain.back"
check_same 'a thousand records come back in order' "$TEST_DIR/plain" "$TEST_DIR/plain.back"

# Keys, headers, a null value and an empty one, as they were given.
printf 'k1=v1\nk2=\nk3=v3\n' | produce_to "$topic" -p 1 -K = -Z -H one=1 -H two=zwei
printf 'k4=\n' | produce_to "$topic" -p 1 -K =
check_equal 'keys, headers, null and empty values come back' \
    $'0 k1 v1 2 one=1,two=zwei\n1 k2  -1 one=1,two=zwei\n2 k3 v3 2 one=1,two=zwei\n3 k4  0 ' \
    "$(read_partition "$topic" 1 -f '%o %k %s %S %h\n')"

for codec in gzip snappy lz4 zstd; do
    lines "$codec" 500 > "$TEST_DIR/$codec"
    produce_to "$PREFIX.$codec" -p 2 -z "$codec" -X linger.ms=50 < "$TEST_DIR/$codec"
    read_partition "$PREFIX.$codec" 2 > "$TEST_DIR/$codec.back"
    check_same "$codec batches come back in order" "$TEST_DIR/$codec" "$TEST_DIR/$codec.back"
done

has_lines() {
    read_partition "$1" "$2" > "$TEST_DIR/back"
    [ "$(wc -l < "$TEST_DIR/back")" -ge "$3" ]
}

for acks in 0 1 all; do
    lines "acks-$acks" 300 > "$TEST_DIR/acks"
    produce_to "$PREFIX.acks$acks" -p 0 -X "acks=$acks" < "$TEST_DIR/acks"
    wait_for 10 has_lines "$PREFIX.acks$acks" 0 300
    check_same "acks=$acks" "$TEST_DIR/acks" "$TEST_DIR/back"
done

lines idempotent 2000 > "$TEST_DIR/idempotent"
produce_to "$PREFIX.idempotent" -p 0 -X enable.idempotence=true -X batch.num.messages=20 < "$TEST_DIR/idempotent"
read_partition "$PREFIX.idempotent" 0 > "$TEST_DIR/back"
check_same 'an idempotent producer, five requests in flight' "$TEST_DIR/idempotent" "$TEST_DIR/back"

head -c 900000 /dev/urandom | base64 -w 0 > "$TEST_DIR/large"
produce_to "$PREFIX.large" -p 0 -X message.max.bytes=2000000 "$TEST_DIR/large" 2> "$TEST_DIR/large.said"
read_partition "$PREFIX.large" 0 -f '%s' > "$TEST_DIR/back"
check_equal 'a record above max.message.bytes is refused' '' "$(cat "$TEST_DIR/back")"
check 'and says so' grep -qi 'too large' "$TEST_DIR/large.said"
head -c 600000 "$TEST_DIR/large" > "$TEST_DIR/fits"
produce_to "$PREFIX.large" -p 0 "$TEST_DIR/fits"
read_partition "$PREFIX.large" 0 -f '%s' > "$TEST_DIR/back"
check_same 'a record of 600,000 bytes comes back' "$TEST_DIR/fits" "$TEST_DIR/back"

check_equal 'consuming starts at an offset' "$(sed -n 501,510p "$TEST_DIR/plain")" \
    "$(kcat -C -q -b "$BOOTSTRAP" -t "$topic" -p 0 -o 500 -c 10)"
check_equal 'and at so many before the end' "$(tail -n 7 "$TEST_DIR/plain")" \
    "$(kcat -C -q -e -b "$BOOTSTRAP" -t "$topic" -p 0 -o -7)"

# By time: records carry the time they were produced at; `mark` lies between two lots of them.
clock_is_past() {
    [ "$(date +%s%3N)" -gt "$1" ]
}
lines before 50 | produce_to "$PREFIX.time" -p 0
wait_for 2 clock_is_past "$(date +%s%3N)"
mark=$(date +%s%3N)
lines after 50 > "$TEST_DIR/after"
produce_to "$PREFIX.time" -p 0 < "$TEST_DIR/after"
check_equal 'offset by time' "$PREFIX.time [0] offset 50" \
    "$(kcat -Q -b "$BOOTSTRAP" -t "$PREFIX.time:0:$mark")"
check_equal 'offset by a time to come is the end' "$PREFIX.time [0] offset -1" \
    "$(kcat -Q -b "$BOOTSTRAP" -t "$PREFIX.time:0:$((mark + 3600000))")"
check_equal 'consuming from a time' "$(cat "$TEST_DIR/after")" \
    "$(kcat -C -q -e -b "$BOOTSTRAP" -t "$PREFIX.time" -p 0 -o "s@$mark")"
check_equal 'consuming to a time' "$(lines before 50)" \
    "$(kcat -C -q -e -b "$BOOTSTRAP" -t "$PREFIX.time" -p 0 -o s@0 -o "e@$mark")"

# A group: two members share three partitions, a third joins, one leaves; each record goes to one of them once.
members=()
start_member() {
    kcat -b "$BOOTSTRAP" -u -f '%p %o %s\n' -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
        -X heartbeat.interval.ms=500 -X "client.id=$1" -G "$PREFIX.group" "$PREFIX.shared" \
        > "$TEST_DIR/member-$1" 2> "$TEST_DIR/member-$1.said" &
    members+=($!)
}

assigned() {
    grep -q 'assigned: .*\[[0-9]\]' "$TEST_DIR/member-$1.said"
}

have_consumed() {
    [ "$(cat "$TEST_DIR"/member-[a-z] | wc -l)" -ge "$1" ]
}

produce_round() {
    local partition
    for partition in 0 1 2; do lines "$1-$partition" 100 | produce_to "$PREFIX.shared" -p "$partition"; done
}

produce_round first
start_member a
start_member b
check 'two members read the first round' wait_for 40 have_consumed 300
check 'both were given partitions' wait_for 20 eval 'assigned a && assigned b'
start_member c
check 'a third member joins' wait_for 40 assigned c
produce_round second
check 'three members read the second round' wait_for 40 have_consumed 600
kill -TERM "${members[1]}"
wait "${members[1]}"
produce_round third
check 'those left read the third round' wait_for 40 have_consumed 900
kill -TERM "${members[0]}" "${members[2]}"
wait "${members[0]}" "${members[2]}"
for partition in 0 1 2; do
    for round in first second third; do lines "$round-$partition" 100; done |
        awk -v partition=$partition '{ print partition, NR - 1, $0 }'
done > "$TEST_DIR/shared"
sort -k1,1n -k2,2n "$TEST_DIR"/member-[abc] > "$TEST_DIR/shared.back"
check_same 'every record once, over all members' "$TEST_DIR/shared" "$TEST_DIR/shared.back"
for member in a b c; do
    sort -s -k1,1n "$TEST_DIR/member-$member" > "$TEST_DIR/by-partition"
    sort -k1,1n -k2,2n "$TEST_DIR/member-$member" > "$TEST_DIR/by-offset"
    check_same "member $member read each partition in order" "$TEST_DIR/by-partition" "$TEST_DIR/by-offset"
done
echo last | produce_to "$PREFIX.shared" -p 1
start_member d
read_one_record() {
    grep -q . "$TEST_DIR/member-d"
}
check 'a member started later' wait_for 40 read_one_record
kill -TERM "${members[3]}"
wait "${members[3]}"
check_equal 'goes on where the group had committed' '1 300 last' "$(cat "$TEST_DIR/member-d")"

# Three nodes: records go to leaders on all of them and come back, and a group's members share them.
connect_cluster
rm -f "$TEST_DIR"/member-*
members=()
topic=$PREFIX.shared
shared_is_in_sync() {
    [ "$(kcat -L -b "$BOOTSTRAP" -t "$topic" 2> /dev/null | grep -c 'replicas: [123],[123],[123], isrs: [123],[123],[123]')" -eq 3 ]
}
check 'a topic that nobody made has three replicas of three partitions' wait_for 20 shared_is_in_sync
check 'which three nodes lead' [ "$(kcat -L -b "$BOOTSTRAP" -t "$topic" | grep -o 'leader [123]' | sort -u | wc -l)" -eq 3 ]
produce_round first
start_member a
start_member b
check 'three nodes: two members read the first round' wait_for 40 have_consumed 300
start_member c
check 'three nodes: a third member joins' wait_for 40 assigned c
produce_round second
check 'three nodes: three members read the second round' wait_for 40 have_consumed 600
kill -TERM "${members[@]}"
wait "${members[@]}"
for partition in 0 1 2; do
    for round in first second; do lines "$round-$partition" 100; done |
        awk -v partition=$partition '{ print partition, NR - 1, $0 }'
done > "$TEST_DIR/shared"
sort -k1,1n -k2,2n "$TEST_DIR"/member-[abc] > "$TEST_DIR/shared.back"
check_same 'three nodes: every record once, over all members' "$TEST_DIR/shared" "$TEST_DIR/shared.back"
disconnect_cluster
