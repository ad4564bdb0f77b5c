#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a partition file is not for is refused with the errno its users expect, and nothing is lost by it.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/orders"
cd "$MOUNT/orders" || exit 1
append_line 0 kept

check_error '> of a shell' 'Operation not permitted' bash -c 'echo x > 0'
check_error 'truncate' 'Operation not permitted' truncate -s 0 0
check_error 'unlink' 'Operation not permitted' rm -f 0
check_error 'rename of a partition' 'Operation not permitted' mv 0 1
check_error 'rename of a topic' 'Operation not permitted' mv "$MOUNT/orders" "$MOUNT/other"
check_error 'hard links' 'Operation not permitted' ln 0 link
check_error 'symbolic links' 'Operation not permitted' ln -s 0 link
check_error 'pipes' 'Operation not permitted' mkfifo pipe
check_error 'devices' 'Operation not permitted' mknod device c 1 3
check_error 'other modes' 'Operation not permitted' chmod 600 0
check_error 'other owners' 'Operation not permitted' chown 1 0
check_error 'directories in a topic' 'Operation not permitted' mkdir sub
check_error 'other files in a topic' 'Operation not permitted' touch notes.txt
check_error 'a partition that is not the next' 'Invalid argument' touch 7
check_error 'a number with a zero before it' 'Operation not permitted' touch 01
check_error 'sed -i' 'Operation not permitted' sed -i s/kept/lost/ 0
check_error 'removal of the filesystem'"'"'s own' 'Operation not permitted' rmdir "$MOUNT/.groups"
check_error 'writing what can only be read' 'Operation not permitted' bash -c 'echo x >> .info'
check_error 'executing' 'Permission denied' ./0
check 'times may be set' touch -a -m 0

python3 - << 'PYTHON'
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
file = os.open("0", os.O_RDWR)
def fails(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, (call, error)
        return
    raise SystemExit("%s succeeded" % call)
fails(errno.EPERM, os.ftruncate, file, 0)
fails(errno.EPERM, os.open, "0", os.O_WRONLY | os.O_TRUNC)
fails(errno.EPERM, os.posix_fallocate, file, 0, 4096)
fails(errno.ENOTSUP, os.setxattr, "0", "user.kafka.hwm", b"9")
fails(errno.ENOTSUP, os.setxattr, "0", "user.other", b"x" * 65536)
fails(errno.ENOTSUP, os.removexattr, "0", "user.kafka.hwm")
fails(errno.ENODATA, os.getxattr, "0", "user.none")
fails(errno.ENOTSUP, os.getxattr, "0", "security.capability")
fails(errno.ENOTSUP, os.getxattr, "0", "system.posix_acl_access")
fails(errno.ENAMETOOLONG, os.stat, "x" * 256)
fails(errno.ENOTDIR, os.stat, "0/sub")
fails(errno.EEXIST, os.open, "0", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
assert libc.write(file, None, 5) == -1 and ctypes.get_errno() == errno.EFAULT
fcntl.flock(file, fcntl.LOCK_EX)
fcntl.lockf(file, fcntl.LOCK_UN)
assert os.getxattr("0", "user.kafka.hwm") == b"1"
PYTHON
check_equal 'truncation, fallocate, attributes and locks by system calls' 0 $?
check_equal 'the record is still there, alone' kept "$(cat 0)"

mkdir "$MOUNT/kept-by-key"
echo compact > "$MOUNT/kept-by-key/.config/cleanup.policy"
check_error 'a line, which has no key, on a compacted topic' 'Invalid argument' append_line "$MOUNT/kept-by-key/0" x
check 'the reason speaks of the key' grep -q 'kept-by-key/0.*EINVAL.*need a key' "$MOUNT/.errors"

for name in ..x 'a b' $'a\nb' $'a\033b' 'a$b' 'ü' 'a%2Eb' "$(printf 'x%.0s' {1..250})"; do
    check_error "the topic name $(printf %q "${name:0:20}")" 'Invalid argument' mkdir "$MOUNT/$name"
done
check_error 'a name of 256 bytes' 'File name too long' mkdir "$MOUNT/$(printf 'x%.0s' {1..256})"
check_error 'a topic that is there' 'File exists' mkdir "$MOUNT/orders"
check_error 'a topic that is not there' 'No such file' rmdir "$MOUNT/none"
check_error 'files in the root' 'Operation not permitted' touch "$MOUNT/file"
check 'the reasons are kept' grep -q 'orders/7.*EINVAL.*the next partition is 1' "$MOUNT/.errors"
check 'also those of names' grep -q 'mkdir.*EINVAL.*a topic name is' "$MOUNT/.errors"
check_not 'and hold no control byte' grep -q $'\033' "$MOUNT/.errors"

if [ "$(id -u)" = 0 ]; then
    check 'set-user-id, devices and execution are off' \
        grep -q " $MOUNT [^ ]*nosuid,nodev,noexec" /proc/self/mountinfo
    # By a relative path: others may not pass through the directory of this test.
    check 'what all may read, another user reads' setpriv --reuid=65534 --clear-groups test -r 0
    check_error 'the configuration is the node user'"'"'s alone' 'Permission denied' \
        setpriv --reuid=65534 --clear-groups cat ../.config
    if setpriv --reuid=65534 --clear-groups unshare --map-root-user true 2> /dev/null; then
        check_error 'root of a user namespace is still nobody' 'Permission denied' \
            setpriv --reuid=65534 --clear-groups unshare --map-root-user cat ../.config
    fi
fi

cd / || exit 1
stop_node
node_options=(-o ro)
start_node
check_error 'read-only: appending' 'Read-only file system' append_line "$MOUNT/orders/0" x
check_error 'read-only: a topic' 'Read-only file system' mkdir "$MOUNT/other"
check_equal 'read-only: reading' kept "$(cat "$MOUNT/orders/0")"
stop_node
finish
