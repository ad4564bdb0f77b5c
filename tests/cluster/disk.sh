#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The disk of a follower, then of a leader, is full, then slow, under clients: others go on, it comes back by itself.
limit_seconds=240
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"
. "$(dirname "$0")/disks.sh"

fill() {
    cat /dev/zero > "$TEST_DIR/$1/data/lost+found/filler" 2> /dev/null
}

make_room() {
    rm "$TEST_DIR/$1/data/lost+found/filler"
}

is_out_of_sync() {
    [[ ,$(isr_of port 0), != *,$1,* ]]
}

says_full() {
    grep -qiE 'level=(warning|error).*(space|disk)' "$TEST_DIR/$1/node.log"
}

# A leader does not leave for a full disk (nor does Apache Kafka's, short of an I/O error): its producers wait.
fill_and_free() {
    local role=$1 number=$2
    fill "$number"
    if [ "$role" = follower ]; then
        check 'the full disk of a follower takes it out of the replicas in sync' wait_for 20 is_out_of_sync "$number"
        clients_work 300 'while the disk of a follower is full' && pass 'writers go on while the disk of a follower is full'
    else
        check 'the full disk of a leader is told' wait_for 20 says_full "$number"
    fi
    check "node $number says so" says_full "$number"
    make_room "$number"
    check "with room again the $role comes back by itself" wait_for 40 all_in_sync port 3 3
    clients_work 300 "after the disk of a $role was full" && pass "writers go on after the disk of a $role was full"
}

# throttle N OPERATIONS: so many writes a second to its device, 0: as many as it takes. The group stays: its file is the
# kernel's.
throttle() {
    local device number group=$TEST_CGROUP
    device=${disk_devices[$1]}
    number=$(lsblk -dno MAJ:MIN "$device" | tr -d ' ')
    echo "$number $2" > "$group/blkio.throttle.write_iops_device"
    echo "$(pid_of "$1")" > "$group/cgroup.procs"
}

clients_build
cluster_open 3
disks_make 96M
cluster_start log.segment.bytes=1048576 replica.lag.time.max.ms=3000
plain_kind=unordered # journal.h
clients_begin
clients_work 300 'at first'
leader=$(leader_of port 0)
follower=$(printf '%s\n' "${NODES[@]}" | grep -vx "$leader" | head -n 1)
fill_and_free follower "$follower"
fill_and_free leader "$(leader_of port 0)"

TEST_CGROUP=/sys/fs/cgroup/blkio/topicfs-test-$$
if mkdir "$TEST_CGROUP" 2> /dev/null && leader=$(leader_of port 0) && throttle "$leader" 5; then
    clients_work 2000 "while the leader's disk is slow" && pass "writers go on while the leader's disk is slow"
    throttle "$leader" 0
    check 'and all are in sync after it' wait_for 40 all_in_sync port 3 3
else
    skip "$TEST_NAME: no blkio cgroup for a slow disk"
fi
clients_work 100 'at last'
clients_end
for number in "${NODES[@]}"; do member_stop "$number"; done
for number in "${NODES[@]}"; do disk_unmount "$number"; done
rmdir "$TEST_CGROUP" 2> /dev/null
finish
