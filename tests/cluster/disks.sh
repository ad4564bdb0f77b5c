# SPDX-License-Identifier: Apache-2.0
# Disks of the nodes' own, as ext4 on loop devices. Source it after harness.sh and cluster.sh.

# disks_make SIZE: one for the data of each node. Skips the test where loop devices cannot be had.
disks_make() {
    local number
    needs mkfs.ext4 losetup
    for number in "${NODES[@]}"; do
        truncate -s "$1" "$TEST_DIR/$number/disk.img"
        mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$TEST_DIR/$number/disk.img"
        disk_mount "$number" || skip_all "$TEST_NAME: no loop device"
    done
}

# Prints nothing; the device of node N is in disk_devices[N] until it is unmounted.
disk_mount() {
    local status
    disk_devices[$1]=$(losetup --find --show "$TEST_DIR/$1/disk.img") || return
    mount "${disk_devices[$1]}" "$TEST_DIR/$1/data"
    status=$?
    losetup --detach "${disk_devices[$1]}"
    return $status
}
declare -A disk_devices=()

disk_unmount() {
    wait_for 10 umount "$TEST_DIR/$1/data"
}
