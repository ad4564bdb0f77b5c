#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The power of one node and of all at once is cut, CUTS times, on ext4s that forget what was not flushed: nothing is lost.
: "${CUTS:=6}"
limit_seconds=$((120 + CUTS * 20))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"
. "$(dirname "$0")/disks.sh"

# The node first: see tests/crash/power_cut.sh.
cut_power() {
    local number
    for number; do member_kill "$number"; done
    for number; do "$TEST_DIR/power_cut" "$TEST_DIR/$number/data" || return 1; done
    for number; do disk_unmount "$number" && disk_mount "$number" || return 1; done
}

clients_build
cc -std=gnu11 -Wall -Wextra -Werror -o "$TEST_DIR/power_cut" "$crash_dir/power_cut.c" || fail 'power_cut builds'
cluster_open 3
disks_make 512M
echo lost > "$TEST_DIR/1/data/lost"
"$TEST_DIR/power_cut" "$TEST_DIR/1/data" || skip_all "$TEST_NAME: this ext4 cannot be shut down"
disk_unmount 1 && disk_mount 1
check_not 'a power cut loses what was not flushed' test -s "$TEST_DIR/1/data/lost"
cluster_start log.segment.bytes=1048576
plain_kind=unordered # journal.h: nodes are killed
clients_begin
kinds=(leader all controller two all)
survived=0
for ((cut = 0; cut < CUTS; cut++)); do
    clients_work 500 "before cut $cut" || break
    leader=$(leader_of port $((RANDOM % 3)))
    case ${kinds[cut % ${#kinds[@]}]} in
    leader) dark=("$leader") ;;
    controller) dark=("$(controller)") ;;
    two) dark=("$leader" "$((leader % 3 + 1))") ;;
    all) dark=("${NODES[@]}") ;;
    esac
    cut_power "${dark[@]}" || { fail "the power of ${dark[*]} can be cut"; break; }
    for number in "${dark[@]}"; do member_launch "$number" "$cluster_list"; done
    for number in "${dark[@]}"; do member_await "$number" || break 2; done
    survived=$((cut + 1))
done
check_equal 'the cluster came back after every cut' "$CUTS" "$survived"
clients_work 100 'at last'
clients_end
for number in "${NODES[@]}"; do member_stop "$number"; done
for number in "${NODES[@]}"; do disk_unmount "$number"; done
finish
