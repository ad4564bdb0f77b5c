#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the mounts say of the cluster: the same on every node, right while a node is down, and honest on one that is cut off.
limit_seconds=120
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"

# The file $1 of every mount that lives holds the same.
same_everywhere() {
    local number first='' said
    for number in "${NODES[@]}"; do
        member_runs "$number" || continue
        said=$(cat "$(mount_of "$number")/$1") || return 1
        [ -n "$first" ] || first=$said
        [ "$said" = "$first" ] || return 1
    done
}

is_ok_everywhere() {
    local number
    for number in "${NODES[@]}"; do [ "$(cat "$(mount_of "$number")/.health")" = ok ] || return 1; done
}

health_says() {
    grep -Eq "$2" "$(mount_of "$1")/.health"
}

info_is() {
    [ "$(awk -F'\t' -v column="$4" '$1 == 0 { print $column }' "$(mount_of "$1")/$2/.info")" = "$3" ]
}

cluster_open 3
cluster_start min.insync.replicas=1
one=$(mount_of 1)
mkdir "$one/orders" "$one/single"
echo 3 > "$one/orders/.config/partitions"
check 'a topic of one replica' bash -c "echo 1 > $one/single/.config/replication.factor"
check 'the topics are everywhere' wait_for 10 test -e "$(mount_of 2)/orders/2" -a -e "$(mount_of 3)/orders/2" -a -e "$(mount_of 2)/single/0" -a -e "$(mount_of 3)/single/0"
for partition in 0 1 2; do seq 100 >> "$(mount_of $((partition + 1)))/orders/$partition"; done
seq 10 >> "$one/single/0"
has_one_replica() { info_is 1 single "$(info_column single 0 2)" 3; }
check 'it has one' wait_for 20 has_one_replica
is_caught_up() { [ "$(awk -F'\t' 'NR > 1 { print $11 }' "$one/orders/.info" | sort -u)" = 0,0,0 ]; }
check 'no replica lags' wait_for 20 is_caught_up

check 'all is well' wait_for 20 is_ok_everywhere
for topic in orders single; do
    check "every mount says the same of $topic" wait_for 10 same_everywhere "$topic/.info"
    for number in 1 2 3; do check_not "and node $number knows all of it" grep -q '[[:space:]]-' "$(mount_of "$number")/$topic/.info"; done
done
check_equal 'its columns' "$(printf '%s\t' partition leader replicas isr start hwm lso end size ts-last lag)" "$(head -n 1 "$one/orders/.info")"$'\t'
check_equal 'its numbers' $'0 100 100 100\n0 100 100 100\n0 100 100 100' "$(awk -F'\t' 'NR > 1 { print $5, $6, $7, $8 }' "$one/orders/.info")"

for file in id controller features partitions topics version; do check "every mount says the same of .cluster/$file" wait_for 10 same_everywhere ".cluster/$file"; done
controller=$(cat "$one/.cluster/controller")
version=$(cat "$one/.cluster/version")
check_equal 'features have a level' 'feature level min max' "$(head -n 1 "$one/.cluster/features" | tr '\t' ' ')"
quorum_stands() {
    awk -F'\t' -v leader="$controller" '
        NR > 1 { voters++; if ($2 == "leader" && $1 == leader) leads = 1; if ($3 !~ /^[0-9]+$/ || $4 !~ /^[0-9]+$/) unknown = 1 }
        END { exit !(voters == 3 && leads && !unknown) }' "$(mount_of "$1")/.cluster/quorum"
}
for number in 1 2 3; do
    root=$(mount_of "$number")
    check "the quorum as node $number says it" wait_for 20 quorum_stands "$number"
    check_equal "the nodes as node $number lists them" '1 2 3' "$(ls "$root/.brokers" | tr '\n' ' ' | sed 's/ $//')"
    for peer in 1 2 3; do
        broker=$root/.brokers/$peer
        is_known() { [ "$(cat "$broker/host"):$(cat "$broker/port") $(cat "$broker/state") $(cat "$broker/version")" = "$(address_of "$peer") online $version" ]; }
        check "and says of node $peer" wait_for 10 is_known
        disk_is_known() { tail -n 1 "$broker/disk" | grep -Eqx $'[1-9][0-9]*\t[0-9]+'; }
        check 'with its disk' wait_for 10 disk_is_known
        check 'and for how long it has been there' grep -Eqx '[0-9]+' "$broker/uptime"
    done
    check_equal 'leaders add up' 4 "$(cat "$root"/.brokers/*/leaders | awk '{ sum += $1 } END { print sum }')"
    check_equal 'replicas too' 10 "$(cat "$root"/.brokers/*/replicas | awk '{ sum += $1 } END { print sum }')"
done
check 'what has happened is told' grep -q 'joined' "$one/.cluster/events"

# The one node with a replica of `single` goes.
victim=$(info_column single 0 2)
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
witness=$(printf '%s\n' "${NODES[@]}" | grep -vx "$victim" | head -n 1)
member_kill "$victim"
check 'a partition without a leader is told' wait_for 30 health_says "$witness" '^offline: single/0 has no leader since 20..-..-..T..:..:..Z$'
check 'those that miss a replica, too' wait_for 10 health_says "$witness" '^under-replicated: orders/2 has 2 of 3 replicas in sync: [0-9],[0-9] since 20..-..-..T..:..:..Z$'
check 'after a line with the sums' wait_for 10 health_says "$witness" '^degraded: 1 partition without a leader, 3 under-replicated$'
check_not 'and all is not well' health_says "$witness" '^ok'
since=$(awk '/^offline:/ { print $NF }' "$(mount_of "$witness")/.health")
check "since it was killed ($began, $since)" test ! "$since" \< "$began"
check_equal 'the node is fenced' fenced "$(cat "$(mount_of "$witness")/.brokers/$victim/state")"
seq 50 >> "$(mount_of "$witness")/orders/0"
lag_of_victim() {
    awk -F'\t' -v node="$victim" -v lag="$1" '
        $1 == 0 { n = split($3, replicas, ","); split($11, lags, ","); for (i = 1; i <= n; i++) if (replicas[i] == node) print lags[i] }' \
        "$(mount_of "$witness")/orders/.info" | grep -Eqx "$1"
}
check 'its replica lags, or has never been heard of' wait_for 10 lag_of_victim '50|-'
check 'it comes back' member_start "$victim"
check 'and all is well again' wait_for 30 is_ok_everywhere

# A node that is cut off.
lonely=$(printf '%s\n' "${NODES[@]}" | grep -vx "$(controller)" | head -n 1)
root=$(mount_of "$lonely")
witness=$(printf '%s\n' "${NODES[@]}" | grep -vx "$lonely" | head -n 1)
cut_off "$lonely"
check 'a node that is cut off says so' wait_for 20 health_says "$lonely" '^degraded: cut off'
check_equal 'and still reads what was committed' "$(seq 100 | sha256sum)" "$(timeout 20 cat "$root/orders/1" | sha256sum)"
check 'and its topics' test -e "$root/orders/.info"
check 'with offsets' bash -c "timeout 20 grep -q '^1.*100.100.100' $root/orders/.info"
check 'the others see that it is gone' wait_for 20 grep -qx fenced "$(mount_of "$witness")/.brokers/$lonely/state"
heal "$lonely"
check 'when it is back all is well' wait_for 30 is_ok_everywhere
check 'and the same everywhere' wait_for 20 same_everywhere orders/.info
finish
