# SPDX-License-Identifier: Apache-2.0
# What the crash tests share: producers that outlive the node, and the comparison of what they were told with what is
# there. Source it after harness.sh; journals and programs are in $TEST_DIR.

crash_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
producer_pids=()
declare -A journals=() # topic -> the journals of its producers

# Compiles port_producer and file_writer.
build_producers() {
    needs cc pkg-config kcat python3
    pkg-config --exists rdkafka || skip_all "$TEST_NAME: the development files of librdkafka are not installed"
    # shellcheck disable=SC2046
    cc -std=gnu11 -Wall -Wextra -Werror -O1 -o "$TEST_DIR/port_producer" "$crash_dir/port_producer.c" \
        $(pkg-config --cflags --libs rdkafka) &&
        cc -std=gnu11 -Wall -Wextra -Werror -O1 -o "$TEST_DIR/file_writer" "$crash_dir/file_writer.c" ||
        { fail 'the producers build'; finish; }
}

# start_port_producer TOPIC PARTITIONS NAME idempotent|plain [KEY=VALUE...]
start_port_producer() {
    local topic=$1 partitions=$2 name=$3 kind=$4
    shift 4
    "$TEST_DIR/port_producer" "$BOOTSTRAP" "$topic" "$partitions" "$TEST_DIR/$name.journal" "$name" "$kind" "$@" \
        2>> "$TEST_DIR/producers.log" &
    producer_begun "$topic" "$name"
}

# start_file_writer TOPIC PARTITION NAME
start_file_writer() {
    "$TEST_DIR/file_writer" "$MOUNT/$1/$2" "$2" "$TEST_DIR/$3.journal" "$3" 2>> "$TEST_DIR/producers.log" &
    producer_begun "$1" "$3"
}

# The process in the background writes the journal of $2, a producer of topic $1.
producer_begun() {
    producer_pids+=($!)
    journals[$1]="${journals[$1]:-} $TEST_DIR/$2.journal"
    wait_for 5 test -e "$TEST_DIR/$2.journal" || fail "$2 begins its journal"
}

# Ends the producers; those by port first get everything they sent acknowledged.
stop_producers() {
    local pid status=0
    kill -TERM "${producer_pids[@]}"
    for pid in "${producer_pids[@]}"; do
        wait "$pid" || status=$?
    done
    producer_pids=()
    check_equal 'every producer ended in good order' 0 "$status"
    [ "$status" -eq 0 ] || tail -n 5 "$TEST_DIR/producers.log"
}

# Prints the size of each journal, a line each: they grow with what is acknowledged.
journal_sizes() {
    # shellcheck disable=SC2086
    stat -c '%n %s' ${journals[@]} | sort
}

# True where every producer has had an answer since file $1 (of journal_sizes) was written.
all_have_moved_since() {
    ! journal_sizes | join "$1" - | awk '$2 == $3' | grep -q .
}

# Lets the node work: every producer has got at least one record acknowledged, and then up to $1 ms more.
let_it_work() {
    journal_sizes > "$TEST_DIR/sizes"
    wait_for "${work_seconds:-15}" all_have_moved_since "$TEST_DIR/sizes" ||
        { fail 'every producer goes on after a restart'; return 1; }
    wait_a_moment "$1"
}

wait_a_moment() {
    local ms=$((RANDOM % $1))
    sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
}

# check_topic TOPIC PARTITIONS: what is there, by port and by file, is what the producers were told by now.
check_topic() {
    local partition told=$TEST_DIR/told dump=$TEST_DIR/dump
    rm -rf "$told"
    mkdir "$told"
    # shellcheck disable=SC2086
    cp ${journals[$1]} "$told"
    for ((partition = 0; partition < $2; partition++)); do
        dump_partition "$1" "$partition" > "$dump"
        "$crash_dir/check_records.py" "$1" "$partition" "$dump" "$told"/* ||
            { checks_failed=$((checks_failed + 1)); cp "$dump" "$TEST_DIR/$1-$partition.dump"; }
        [ "$mount" != yes ] || check "$1/$partition: the file holds what the port gives" \
            file_holds "$(partition_file "$1" "$partition")" "$dump"
    done
}

# The file of partition $2 of topic $1 that is compared. The tests of clusters have more than one.
partition_file() {
    echo "$MOUNT/$1/$2"
}

# Every record that partition $2 of topic $1 has now: its offset and its value. By count: while others produce, kcat
# may never see an end.
dump_partition() {
    local count
    count=$(kcat -Q -b "$BOOTSTRAP" -t "$1:$2:-1" | grep -o '[0-9]*$')
    [ "${count:-0}" -eq 0 ] ||
        kcat -C -q -c "$count" -b "$BOOTSTRAP" -t "$1" -p "$2" -o beginning -f '%o %s\n'
}

# True where file $1 begins with the records of dump $2, and is no longer unless someone is producing.
file_holds() {
    local size
    cut -d ' ' -f 2- "$2" > "$TEST_DIR/text"
    size=$(stat -c %s "$TEST_DIR/text")
    cmp -n "$size" "$TEST_DIR/text" "$1" || return 1
    [ ${#producer_pids[@]} -gt 0 ] || [ "$(stat -c %s "$1")" -eq "$size" ]
}

# Remembers the last offset each port producer was told, to be looked at after the crash.
remember_last_acknowledged() {
    local topic journal
    : > "$TEST_DIR/last"
    for topic in "${!journals[@]}"; do
        for journal in ${journals[$topic]}; do
            tail -n 200 "$journal" | awk -v topic="$topic" -v name="$(basename "$journal" .journal)" '
                $1 == "ack" && NF == 4 && $4 >= 0 { last[$2] = $3 " " $4 }
                END { for (partition in last) print topic, partition, name, last[partition] }' >> "$TEST_DIR/last"
        done
    done
}

# True where those records are at their offsets.
last_acknowledged_are_there() {
    local topic partition name sequence offset
    while read -r topic partition name sequence offset; do
        kcat -C -q -e -b "$BOOTSTRAP" -t "$topic" -p "$partition" -o "$offset" -c 1 -f '%o %s\n' |
            grep -q "^$offset $name $sequence " ||
            { echo "$topic/$partition: record $sequence of $name is not at offset $offset"; return 1; }
    done < "$TEST_DIR/last"
}
