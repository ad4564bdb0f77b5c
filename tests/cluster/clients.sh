# SPDX-License-Identifier: Apache-2.0
# Clients of a cluster that live through everything done to it, and the check of their history. Source it after
# harness.sh and cluster.sh; producers are those of the crash tests.
#
#   clients_build                        compiles them
#   clients_begin                        topics `port` and `files` (3 partitions each) and everybody on them:
#                                        idempotent and plain producers, a group of two, writers on every mount
#   consumer_begin TOPIC GROUP NAME [KEY=VALUE...]   one more member
#   clients_work MS                      each has had an answer since, and then up to MS more
#   clients_end                          writers end, groups come to the end, all is checked, replicas compared
#   make_topic NAME PARTITIONS           made, of three replicas, all in sync
#   all_in_sync TOPIC PARTITIONS N       every partition has N replicas in sync
. "$(dirname "${BASH_SOURCE[0]}")/../crash/producers.sh"

cluster_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
consumer_pids=()
declare -A group_topics=() # group -> its topic
work_seconds=30

clients_build() {
    build_producers
    # shellcheck disable=SC2046
    cc -std=gnu11 -Wall -Wextra -Werror -O1 -o "$TEST_DIR/group_consumer" "$cluster_dir/group_consumer.c" \
        $(pkg-config --cflags --libs rdkafka) || { fail 'the consumer builds'; finish; }
}

all_in_sync() {
    local partition
    for ((partition = 0; partition < $2; partition++)); do
        isr_is_full "$1" "$partition" "$3" || return 1
    done
}

# All nodes know it: a client that asks one that does not yet takes its partitions for unknown.
known_everywhere() {
    local number
    for number in "${NODES[@]}"; do
        [ "$(kcat -L -b "$(address_of "$number")" -t "$1" | grep -c 'isrs: .')" -eq "$2" ] || return 1
    done
}

make_topic() {
    local root
    root=$(mount_of "$(living)")
    mkdir "$root/$1" && { [ "$2" -eq 1 ] || echo "$2" > "$root/$1/.config/partitions"; } &&
        wait_for 20 all_in_sync "$1" "$2" 3 &&
        wait_for 10 known_everywhere "$1" "$2" || { fail "topic $1 of $2 partitions and three replicas"; finish; }
}

consumer_begin() {
    local topic=$1 group=$2 name=$3
    shift 3
    "$TEST_DIR/group_consumer" "$BOOTSTRAP" "$topic" "$group" "$TEST_DIR/$name.journal" "$name" "$@" \
        2>> "$TEST_DIR/producers.log" &
    consumer_pids+=($!)
    group_topics[$group]=$topic
    journals[$topic]="${journals[$topic]:-} $TEST_DIR/$name.journal"
    wait_for 5 test -s "$TEST_DIR/$name.journal" || fail "$name begins its journal"
}

writer_begin() {
    MOUNT=$(mount_of "$1") start_file_writer files "$2" "$3"
}

# Where the leader's mount is: a node that lost its disk has another id than its directory here.
partition_file() {
    local leader host
    leader=$(leader_of "$1" "$2")
    host=$(cat "$(mount_of "$(living)")/.brokers/$leader/host")
    echo "$(mount_of "${host##*.}")/$1/$2"
}

clients_begin() {
    local number
    make_topic port 3
    start_port_producer port 3 p1 idempotent
    start_port_producer port 3 p2 idempotent compression.codec=lz4 linger.ms=20
    start_port_producer port 3 p3 "${plain_kind:-plain}"
    consumer_begin port readers c1
    consumer_begin port readers c2
    [ "${file_writers:-no}" = yes ] || return 0
    make_topic files 3
    for number in "${NODES[@]:0:3}"; do writer_begin "$number" $((number - 1)) "f$number"; done
}

# Only those that must get an answer each time: a member of a group may have no partition, a writer's mount may be down.
producer_sizes() {
    local journal
    for journal in ${journals[port]}; do
        case $(head -n 1 "$journal") in producer*) stat -c '%n %s' "$journal" ;; esac
    done | sort
}

producers_have_moved() {
    ! producer_sizes | join "$TEST_DIR/sizes" - | awk '$2 == $3' | grep -q .
}

clients_work() {
    producer_sizes > "$TEST_DIR/sizes"
    wait_for "$work_seconds" producers_have_moved || { fail "every producer goes on: ${2:-}"; return 1; }
    wait_a_moment "$1"
}

end_of() {
    kcat -Q -b "$BOOTSTRAP" -t "$1:$2:-1" | grep -o '[0-9]*$'
}

# True where group $1 has committed the end of partition $2 of its topic, by what its members wrote down.
group_is_at_end() {
    local end topic=${group_topics[$1]}
    end=$(end_of "$topic" "$2")
    # shellcheck disable=SC2086
    [ -n "$end" ] && awk -v group="$1" -v partition="$2" -v end="$end" '
        FNR == 1 { ours = $1 == "consumer" && $3 == group }
        ours && $1 == "committed" && $2 == partition && $3 == end { found = 1 }
        END { exit !found }' ${journals[$topic]}
}

consumers_end() {
    local group partition pid status=0
    for group in "${!group_topics[@]}"; do
        for partition in 0 1 2; do
            check "group $group comes to the end of ${group_topics[$group]}/$partition" \
                wait_for 30 group_is_at_end "$group" "$partition"
        done
    done
    [ ${#consumer_pids[@]} -gt 0 ] || return 0
    kill -TERM "${consumer_pids[@]}"
    for pid in "${consumer_pids[@]}"; do wait "$pid" || status=$?; done
    consumer_pids=()
    check_equal 'every consumer ended in good order' 0 "$status"
}

replicas_agree() {
    local topic=$1 partitions=$2 number directories=()
    check "$topic: every replica is in sync" wait_for 30 all_in_sync "$topic" "$partitions" 3
    for number in "${NODES[@]}"; do directories+=("$TEST_DIR/$number/data"); done
    "$cluster_dir/check_replicas.py" "$topic" "$partitions" "${directories[@]}" ||
        checks_failed=$((checks_failed + 1))
}

clients_end() {
    local topic
    stop_producers
    consumers_end
    for topic in "${!journals[@]}"; do
        check_topic "$topic" 3
        replicas_agree "$topic" 3
    done
}
