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

mount_disk() {
    mount -o loop "$TEST_DIR/disk.img" "$TEST_DIR/data"
}

unmount_disk() {
    wait_for 10 umount "$TEST_DIR/data"
}
