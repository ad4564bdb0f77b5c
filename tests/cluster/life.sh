#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A cluster's life: one node becomes three, then five; restarts, a wiped node, a drained one, clients never noticing.
limit_seconds=300
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

nodes_known() {
    [ "$(find "$(mount_of 1)/.brokers" -mindepth 1 -maxdepth 1 | wc -l)" -eq "$1" ]
}

state_of() {
    cat "$(mount_of 1)/.brokers/$1/state" 2> /dev/null
}

replicas_are() {
    [ "$(kcat -L -b "$BOOTSTRAP" -t "$1" | grep -o 'replicas: [0-9,]*' | tr -dc '0-9,\n' | tr ',' '\n' | grep -c .)" -eq "$2" ]
}

node_has_replicas() {
    [ -n "$(find "$TEST_DIR/$1/data" -maxdepth 1 \( -name 'port-*' -o -name '__consumer_offsets-*' -o -name 'old-*' \) -print -quit)" ]
}

has_no_replicas() {
    ! kcat -L -b "$BOOTSTRAP" | grep -oE 'replicas: [0-9,]*' | tr ',' ' ' | grep -qw "$1"
}

no_delivery_failed() {
    ! cat "$TEST_DIR"/p*.journal | grep -q ^unknown
}

clients_build
cluster_open 3

# One, with records, as it is: no list and no token. Then it is the first of three.
list=$cluster_list
member_alone() {
    nsenter --net="/run/netns/$cluster_name-1" -- "$TOPICFS" -f --override "log.dirs=$TEST_DIR/1/data" \
        --override topicfs.insecure=true --override "listeners=PLAINTEXT://$(address_of 1)" "$(mount_of 1)" \
        >> "$TEST_DIR/1/node.log" 2>&1 &
    member_pids[1]=$!
    member_await 1
}
member_alone
mkdir "$(mount_of 1)/old"
seq -f 'record %g' 1 1000 > "$TEST_DIR/old"
cat "$TEST_DIR/old" >> "$(mount_of 1)/old/0"
old_id=$(cat "$(mount_of 1)/.cluster/id")
member_stop 1
for number in 1 2 3; do member_launch "$number" "$list"; done
for number in 1 2 3; do member_await "$number" || finish; done
check 'a single node becomes the first of three' wait_for 20 nodes_known 3
check_equal 'its cluster id stays' "$old_id" "$(cat "$(mount_of 2)/.cluster/id")"
BOOTSTRAP=$list
check 'its records are there' cmp "$TEST_DIR/old" <(consume old 0)

# Clients, and a rolling restart of all three.
plain_kind=unordered # journal.h: nodes are killed
clients_begin
for number in 1 2 3; do
    clients_work 300 "before node $number restarts"
    wait_for 30 all_in_sync port 3 3 || fail "all in sync before node $number restarts"
    member_stop "$number"
    member_start "$number"
done
clients_work 300 'after the rolling restart'
check 'a rolling restart fails no delivery' no_delivery_failed

# Two more, by the address of any member.
member_join 4 "$(address_of 2)"
member_join 5 "$(address_of 3)"
check 'a fourth and a fifth node join by the address of any member' wait_for 20 nodes_known 5
check 'and get replicas' wait_for 60 node_has_replicas 4
clients_work 300 'with five nodes'

# Drained and removed.
drained=$(awk -v host="$cluster_net.5" '$0 == host { print FILENAME }' "$(mount_of 1)"/.brokers/*/host | xargs dirname | xargs basename)
check 'a node is told to drain' eval "echo drain > '$(mount_of 1)/.brokers/$drained/.ctl'"
check 'its replicas go elsewhere' wait_for 60 has_no_replicas "$drained"
clients_work 300 'with a node drained'
member_stop 5
check 'a drained node that is gone is removed' wait_for 20 eval "echo remove > '$(mount_of 1)/.brokers/$drained/.ctl'"
check 'and is no node any more' wait_for 10 nodes_known 4
NODES=(1 2 3 4)

# Wiped: the disk of node 3 is another one.
wiped=$(awk -v host="$cluster_net.3" '$0 == host { print FILENAME }' "$(mount_of 1)"/.brokers/*/host | xargs dirname | xargs basename)
wait_for 30 all_in_sync port 3 3
member_kill 3
rm -rf "$TEST_DIR/3/data"
mkdir "$TEST_DIR/3/data"
member_start 3
check 'a wiped node comes back and gets replicas' wait_for 60 node_has_replicas 3
check_not 'as a new node' test "$(state_of "$wiped")" = online
clients_work 300 'after a node was wiped'
check 'all replicas are in sync' wait_for 60 all_in_sync port 3 3
check 'no delivery failed in all this' no_delivery_failed
check 'the first records are still there' cmp "$TEST_DIR/old" <(consume old 0)
clients_end
finish
