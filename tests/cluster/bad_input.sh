#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nodes that must not come in, and strangers at the door: each gets one clear line and the cluster goes on as before.
limit_seconds=240
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

# stranger NAME TEXT [KEY=VALUE...]: a node of the network of node 4 that never serves, and says TEXT in its report.
stranger() {
    local name=$1 text=$2 log=$TEST_DIR/stranger.log pid setting overrides=()
    shift 2
    for setting; do overrides+=(--override "$setting"); done
    : > "$log"
    # Not by in_node: the process in the background is to be the one that is ended.
    nsenter --net="/run/netns/$cluster_name-4" -- "$TOPICFS" -f --no-mount --override "topicfs.nodes=$cluster_list" \
        --override "topicfs.token.file=$TEST_DIR/token" --override "log.dirs=$TEST_DIR/4/data" \
        --override topicfs.insecure=true --override "listeners=PLAINTEXT://$(address_of 4)" "${overrides[@]}" >> "$log" 2>&1 &
    pid=$!
    check "$name: the line says why" wait_for 15 grep -qiE "level=(warning|error|info).*($text)|^topicfs: .*($text)" "$log"
    grep -qiE "$text" "$log" || cut -c 1-300 "$log" | tail -n 5
    check_not "$name: it does not serve" grep -q event=node_started "$log"
    check "$name: it says so in few lines ($(wc -l < "$log"))" test "$(wc -l < "$log")" -le 8
    kill "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
    rm -rf "${TEST_DIR:?}/4/data"
    mkdir "$TEST_DIR/4/data"
    still_well "$name"
}

# Three nodes, all in sync, no leader moved, and it takes records.
still_well() {
    check "$1: the cluster goes on" produce well 0 <<< "after $1"
    check "$1: all are in sync" wait_for 10 isr_is_full well 0 3
    check_equal "$1: the leader is where it was" "$well_leader" "$(leader_of well 0)"
}

refused_at_start() {
    local text=$1 status
    shift
    in_node 4 timeout 20 "$TOPICFS" -f --no-mount "$@" > "$TEST_DIR/refusal" 2>&1
    status=$?
    [ $status -eq 1 ] && [ "$(wc -l < "$TEST_DIR/refusal")" -eq 1 ] && grep -qiE "$text" "$TEST_DIR/refusal" && return
    echo "status $status: $(head -c 400 "$TEST_DIR/refusal")"
    return 1
}

needs python3
cluster_open 3
cluster_start
member_open 4
NODES=(1 2 3)
make_topic well 1
well_leader=$(leader_of well 0)

# Papers.
head -c 32 /dev/urandom | base64 > "$TEST_DIR/wrong" && chmod 600 "$TEST_DIR/wrong"
stranger 'a wrong token' 'token' "topicfs.token.file=$TEST_DIR/wrong"
cp "$TEST_DIR/token" "$TEST_DIR/open" && chmod 644 "$TEST_DIR/open"
papers=(--override "topicfs.nodes=$cluster_list" --override "log.dirs=$TEST_DIR/4/data" --override topicfs.insecure=true
    --override "listeners=PLAINTEXT://$(address_of 4)")
check 'a token others may read is refused in one line' refused_at_start 'token' "${papers[@]}" \
    --override "topicfs.token.file=$TEST_DIR/open"
check 'so is no token at all' refused_at_start 'token' "${papers[@]}"
stranger 'a node id in use' 'node.id|in use|another node' node.id=1

# Directories: of a node that runs, of its earlier self, of another cluster.
take_data_of_2() {
    cp -a "$TEST_DIR/2/data/." "$TEST_DIR/4/data/"
    rm -f "$TEST_DIR/4/data/topicfs.pid" "$TEST_DIR/4/data/.lock"
}
take_data_of_2
stranger 'a copy of the data of a node that runs' 'node [0-9]+ runs already, at .*: this is a copy of its data'
check 'the node that was copied says so, too' grep -q "event=data_copied at=$(address_of 4)" "$TEST_DIR/2/node.log"
take_data_of_2
uuid=$(sed -n 's/^node.uuid=//p' "$TEST_DIR/4/data/topicfs.founding")
[ "${uuid:0:1}" = B ] && other=C${uuid:1} || other=B${uuid:1}
sed -i "s|$uuid|$other|" "$TEST_DIR/4/data/topicfs.founding" "$TEST_DIR/4/data/meta.properties"
stranger 'a stale data directory' 'has another data directory than the node [0-9]+ that is registered|says it is node [0-9]+ too'

: > "$TEST_DIR/alone.log"
nsenter --net="/run/netns/$cluster_name-4" -- "$TOPICFS" -f --no-mount --override "log.dirs=$TEST_DIR/4/data" --override topicfs.insecure=true \
    --override "listeners=PLAINTEXT://$(address_of 4)" > "$TEST_DIR/alone.log" 2>&1 &
alone=$!
check 'a cluster of one is formed' wait_for 15 grep -q event=node_started "$TEST_DIR/alone.log"
kill $alone
wait $alone
cp -a "$TEST_DIR/4/data" "$TEST_DIR/alone"
stranger 'a node of another cluster' 'names nodes of another cluster only'
cp -a "$TEST_DIR/alone/." "$TEST_DIR/4/data/"
stranger 'a node of another cluster with another token' 'names nodes of another cluster only' \
    "topicfs.token.file=$TEST_DIR/wrong"

# Two clusters whose lists name each other: the other one goes on, too, and says what is wrong.
cp -a "$TEST_DIR/alone/." "$TEST_DIR/4/data/"
: > "$TEST_DIR/alone.log"
nsenter --net="/run/netns/$cluster_name-4" -- "$TOPICFS" -f --no-mount --override "log.dirs=$TEST_DIR/4/data" --override topicfs.insecure=true \
    --override "topicfs.token.file=$TEST_DIR/token" --override "topicfs.nodes=$cluster_list,$(address_of 4)" \
    > "$TEST_DIR/alone.log" 2>&1 &
alone=$!
check 'a cluster that names another one beside itself serves' wait_for 15 grep -q event=node_started "$TEST_DIR/alone.log"
check_equal 'and tells of each of its nodes, once' 3 "$(grep -c 'it is of cluster' "$TEST_DIR/alone.log")"
kill $alone
wait $alone
rm -rf "${TEST_DIR:?}/4/data"
still_well 'two clusters pointed at each other'

# Strangers at the port of each node, while peers talk.
python3 - "$source_root/tests/hostile" "$cluster_net" <<'PYTHON'
import os, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import kafka
closed = 0
for node in (1, 2, 3):
    for api in range(10000, 10009):
        with kafka.Connection(9092, host=f"{sys.argv[2]}.{node}") as connection:
            connection.send(kafka.request(api, 0, os.urandom(60), header_version=2))
            closed += connection.closes(15)
    for size in (4, 100, 4096):
        with kafka.Connection(9092, host=f"{sys.argv[2]}.{node}") as connection:
            connection.send(os.urandom(size))
# PeerHello of a release to come.
hello = kafka.int16(2) + kafka.int16(3) + kafka.int8(1) + bytes(16) + kafka.int32(-1) + os.urandom(16) + kafka.int32(-1)
hello += kafka.compact("") + kafka.uvarint(33) + os.urandom(32) + kafka.NO_TAGS
with kafka.Connection(9092, host=f"{sys.argv[2]}.1") as connection:
    connection.send(kafka.request(10000, 0, hello, header_version=2))
    error = connection.answer(flexible=True).int16()
print(("ok" if error == 35 else "not ok"), f"- the hello of a newer release is answered with error 35 ({error})")
print(("ok" if closed == 27 else "not ok"), f"- requests between nodes close the connection of a stranger ({closed} of 27)")
PYTHON
check 'a node of a newer release is told so, and here' wait_for 5 \
    grep -q 'another release speaks protocol 2 to 3, this one 1: upgrade the older' "$TEST_DIR/1/node.log"
still_well 'garbage at every door'
for number in "${NODES[@]}"; do check "node $number runs" member_runs "$number"; done
finish
