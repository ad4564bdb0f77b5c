# SPDX-License-Identifier: Apache-2.0
# What the tests of clusters share: nodes in network namespaces of their own on one bridge, and what goes wrong between
# them. Source it after harness.sh. Everything of node N is in $TEST_DIR/N: data, mount, node.log.
#
#   cluster_open COUNT             the namespaces and the token; sets NODES (1..COUNT), BOOTSTRAP (all of them)
#   cluster_start [KEY=VALUE...]   all nodes at once; waits until each answers by port and mount
#   member_start N [KEY=VALUE...]  one of them (again), with the settings cluster_start had and these
#   member_stop N, member_kill N, member_pause N, member_resume N
#   member_join N ADDRESS...       starts a node that is not among the first COUNT, given these addresses only
#   cut_off N                      no packet in or out      cut_in N, cut_out N   one way only
#   cut_between N M                these two do not hear each other
#   lose N PERCENT                 so many of its packets are lost, in and out
#   heal N                         all of these are over
#   leader_of TOPIC PARTITION      the node that leads it, as the living see it; -1: none
#   isr_of TOPIC PARTITION         "1,2,3"
#   controller                     who leads the metadata quorum
#   living                         a node that answers
#   mount_of N, address_of N, pid_of N

NODES=()
declare -A member_pids=()
declare -A member_hidden=() # nodes that are paused (who looks at their mount hangs) or know only what was
cluster_settings=()
cluster_port=9092

cluster_open() {
    local number
    [ "$(id -u)" -eq 0 ] || skip_all "$TEST_NAME: network namespaces need root"
    needs ip nft nsenter kcat
    cluster_name=tf$$
    cluster_net=10.$((RANDOM % 200 + 20)).$((RANDOM % 250))
    cluster_size=$1
    (umask 077 && head -c 32 /dev/urandom | base64 > "$TEST_DIR/token")
    ip link add "$cluster_name" type bridge && ip link set "$cluster_name" up &&
        ip address add "$cluster_net.254/24" dev "$cluster_name" || skip_all "$TEST_NAME: no bridge can be made"
    trap 'cluster_clean_up; clean_up' EXIT
    for ((number = 1; number <= $1; number++)); do member_open "$number"; done
    cluster_list=
    for number in "${NODES[@]}"; do cluster_list+=${cluster_list:+,}$(address_of "$number"); done
    BOOTSTRAP=$cluster_list
}

# The namespace of node $1.
member_open() {
    local name=$cluster_name-$1
    NODES+=("$1")
    mkdir -p "$TEST_DIR/$1/data" "$TEST_DIR/$1/mount"
    ip netns add "$name"
    ip link add "$name" type veth peer name eth0 netns "$name"
    ip link set "$name" master "$cluster_name" up
    ip -n "$name" address add "$cluster_net.$1/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link set lo up
    ip netns exec "$name" nft 'add table inet faults
        add chain inet faults in { type filter hook input priority 0; }
        add chain inet faults out { type filter hook output priority 0; }'
}

cluster_clean_up() {
    local number point
    for number in "${!member_pids[@]}"; do kill -CONT "${member_pids[$number]}" 2> /dev/null; done
    for number in "${!member_pids[@]}"; do kill -KILL "${member_pids[$number]}" 2> /dev/null; done
    wait 2> /dev/null
    for number in "${NODES[@]}"; do
        point=$(mount_of "$number")
        ! grep -q " $point " /proc/self/mounts || umount -l "$point"
        ip netns del "$cluster_name-$number" 2> /dev/null
    done
    ip link del "$cluster_name" 2> /dev/null
}

mount_of() {
    echo "$TEST_DIR/$1/mount"
}

address_of() {
    echo "$cluster_net.$1:$cluster_port"
}

pid_of() {
    echo "${member_pids[$1]}"
}

# Runs a command in the network of node $1.
in_node() {
    local number=$1
    shift
    nsenter --net="/run/netns/$cluster_name-$number" -- "$@"
}

member_launch() {
    local number=$1 list=$2 setting overrides=()
    shift 2
    for setting in "${cluster_settings[@]}" "$@"; do overrides+=(--override "$setting"); done
    # Not by in_node: the process in the background is to be the node itself.
    nsenter --net="/run/netns/$cluster_name-$number" -- "${member_wrapper[@]}" "$TOPICFS" -f --override "topicfs.nodes=$list" \
        --override "topicfs.token.file=$TEST_DIR/token" --override "log.dirs=$TEST_DIR/$number/data" \
        --override topicfs.insecure=true "${overrides[@]}" "$(mount_of "$number")" >> "$TEST_DIR/$number/node.log" 2>&1 &
    member_pids[$number]=$!
}
member_wrapper=()

member_answers() {
    local point
    point=$(mount_of "$1")
    mountpoint -q "$point" && timeout 5 ls "$point" > /dev/null 2>&1
}

member_runs() {
    [ -n "${member_pids[$1]:-}" ] && kill -0 "${member_pids[$1]}" 2> /dev/null
}

member_await() {
    if wait_for "${start_seconds:-30}" member_answers "$1" && member_runs "$1"; then return 0; fi
    fail "node $1 started"
    tail -n 8 "$TEST_DIR/$1/node.log"
    return 1
}

cluster_start() {
    local number
    cluster_settings=("$@")
    for number in "${NODES[@]}"; do member_launch "$number" "$cluster_list"; done
    for number in "${NODES[@]}"; do member_await "$number" || finish; done
}

member_start() {
    local number=$1
    shift
    member_launch "$number" "$cluster_list" "$@"
    member_await "$number"
}

# A node beside the list: it listens on its own address and is given $2, the address of some member.
member_join() {
    local number=$1 list=$2
    shift 2
    member_open "$number"
    member_launch "$number" "$list" "listeners=PLAINTEXT://$(address_of "$number")" "$@"
    member_await "$number"
}

member_ended() {
    ! member_runs "$1"
}

member_stop() {
    local status
    kill -TERM "${member_pids[$1]}"
    wait_for 30 member_ended "$1" || { fail "node $1 stopped within 30 s of SIGTERM"; kill -KILL "${member_pids[$1]}"; }
    wait "${member_pids[$1]}"
    status=$?
    unset "member_pids[$1]"
    [ $status -eq 0 ] || fail "node $1 stopped cleanly (status $status)"
}

member_kill() {
    kill -KILL "${member_pids[$1]}"
    wait "${member_pids[$1]}" 2> /dev/null
    unset "member_pids[$1]"
}

member_pause() {
    member_hidden[$1]=paused
    kill -STOP "${member_pids[$1]}"
}

member_resume() {
    unset "member_hidden[$1]"
    kill -CONT "${member_pids[$1]}"
}

cut_in() {
    ip netns exec "$cluster_name-$1" nft add rule inet faults in iifname eth0 drop
}

cut_out() {
    ip netns exec "$cluster_name-$1" nft add rule inet faults out oifname eth0 drop
}

cut_off() {
    member_hidden[$1]=cut
    cut_in "$1"
    cut_out "$1"
}

cut_between() {
    ip netns exec "$cluster_name-$1" nft add rule inet faults in ip saddr "$cluster_net.$2" drop
    ip netns exec "$cluster_name-$1" nft add rule inet faults out ip daddr "$cluster_net.$2" drop
}

lose() {
    ip netns exec "$cluster_name-$1" nft add rule inet faults in iifname eth0 numgen random mod 100 '<' "$2" drop
    ip netns exec "$cluster_name-$1" nft add rule inet faults out oifname eth0 numgen random mod 100 '<' "$2" drop
}

heal() {
    unset "member_hidden[$1]"
    ip netns exec "$cluster_name-$1" nft flush table inet faults
}

living() {
    local number
    for number in "${NODES[@]}"; do
        [ -z "${member_hidden[$number]:-}" ] || continue
        if member_runs "$number" && member_answers "$number"; then echo "$number"; return 0; fi
    done
    return 1
}

info_column() {
    local number
    for number in "${NODES[@]}"; do
        member_runs "$number" && [ -z "${member_hidden[$number]:-}" ] || continue
        timeout 5 awk -v partition="$2" -v column="$3" '$1 == partition { print $column; found = 1 } END { exit !found }' \
            "$(mount_of "$number")/$1/.info" 2> /dev/null && return 0
    done
    return 1
}

leader_of() {
    info_column "$1" "$2" 2
}

isr_of() {
    info_column "$1" "$2" 4
}

isr_is_full() {
    [ "$(isr_of "$1" "$2" | tr ',' '\n' | grep -c .)" -eq "$3" ]
}

controller() {
    cat "$(mount_of "$(living)")/.cluster/controller"
}
