# SPDX-License-Identifier: Apache-2.0
# A disk of the test's own, mounted where the node keeps its data. Source it after harness.sh.

# make_disk SIZE: an ext4 of that size at $TEST_DIR/data. Skips the test where loop devices cannot be had.
make_disk() {
    [ "$(id -u)" -eq 0 ] || skip_all "$TEST_NAME: needs root for a disk of its own"
    needs mkfs.ext4 losetup
    mkdir -p "$TEST_DIR/data"
    truncate -s "$1" "$TEST_DIR/disk.img"
    mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$TEST_DIR/disk.img"
    mount_disk 2> "$TEST_DIR/mount.log" || skip_all "$TEST_NAME: no loop device: $(cat "$TEST_DIR/mount.log")"
}

# By a loop device of its own each time: a mount namespace made meanwhile by somebody else may keep the last one, and the
# file system on it, from ending. Detached at once, it goes with its last mount.
mount_disk() {
    local device status
    device=$(losetup --find --show "$TEST_DIR/disk.img") || return
    mount "$device" "$TEST_DIR/data"
    status=$?
    losetup --detach "$device"
    return $status
}

unmount_disk() {
    wait_for 10 umount "$TEST_DIR/data"
}
