#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Swap, core dumps, file handles as NFS uses them, and a bomb of writers: refused or borne, and no record is touched.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/orders"
cd "$MOUNT/orders" || exit 1
append_line 0 kept
all_cores() { ls -A "$MOUNT" "$MOUNT/orders" | grep -c '^core'; }

# Swap and core dumps (reliability.md 97).
check_error 'swap on a partition is refused' swapon swapon 0
check_equal 'nor is it in use' 0 "$(grep -c "$MOUNT" /proc/swaps)"
dies_in() {
    python3 -c 'import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
os.chdir(sys.argv[1])
child = os.fork()
if child == 0: os.abort()
sys.exit(0 if os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGABRT else 1)' "$1"
}
check 'a program dies in a topic' dies_in "$MOUNT/orders"
check 'and in the root' dies_in "$MOUNT"
check_equal 'no core is left there' 0 "$(all_cores)"
# As the kernel opens it, whatever core_pattern says here.
for name in core core.123; do
    for place in "$MOUNT" "$MOUNT/orders"; do
        check_error "$name in ${place##*/}" 'Operation not permitted' python3 -c \
            "import os; os.open('$place/$name', os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)"
    done
done
check_equal 'the record is still there, alone' kept "$(cat 0)"

# File handles (99): the same file, or ESTALE; never another one.
if [ "$(id -u)" = 0 ]; then
    python3 - "$MOUNT" << 'PYTHON'
import ctypes, errno, gc, os, sys
mount = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]
def handle_of(path):
    handle, mount_id = Handle(128), ctypes.c_int()
    assert libc.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount_id), 0) == 0, \
        os.strerror(ctypes.get_errno())
    return handle
root = os.open(mount, os.O_RDONLY)
def open_handle(handle):
    file = libc.open_by_handle_at(root, ctypes.byref(handle), os.O_RDONLY)
    if file < 0: raise OSError(ctypes.get_errno(), "open_by_handle_at")
    return file
def is_stale(handle):
    try:
        file = open_handle(handle)
        try: return os.read(file, 100)
        finally: os.close(file)
    except OSError as error:
        return error.errno == errno.ESTALE
handle = handle_of(mount + "/orders/0")
keep = os.open(mount + "/orders/0", os.O_RDONLY)
file = open_handle(handle)
assert os.read(file, 100) == b"kept\n"
assert os.fstat(file).st_ino == os.fstat(keep).st_ino
os.close(file)
# Topics deleted and others made at the same addresses: no old handle opens any of them.
old = []
for round in range(40):
    path = "%s/t%d" % (mount, round)
    os.mkdir(path)
    with open(path + "/0", "a") as file: file.write("of topic %d\n" % round)
    old.append(handle_of(path + "/0"))
    os.rmdir(path)
    open("/proc/sys/vm/drop_caches", "w").write("2") if round % 10 == 9 else None
for number, handle in enumerate(old):
    assert is_stale(handle) is True, (number, is_stale(handle))
PYTHON
    check_equal 'a file handle is its file or stale' 0 $?
fi

# A bomb of writers (98): the others are served, the memory is bounded, whole lines are stored.
mkdir "$MOUNT/bomb" "$MOUNT/calm"
python3 - "$MOUNT" "$NODE_PID" << 'PYTHON'
import os, signal, sys, time
mount, node = ".", sys.argv[2]
os.chdir(sys.argv[1])  # Others may not pass through the directory of this test.
def resident_kib():
    return int([line for line in open("/proc/%s/status" % node) if line.startswith("VmRSS")][0].split()[1])
before = resident_kib()
children = []
for number in range(300):
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)
        line = (b"%04d" % number) * 2500 + b"\n"
        while True:
            file = os.open(mount + "/bomb/0", os.O_WRONLY | os.O_APPEND)
            os.write(file, line * 20)
            os.close(file)
    children.append(child)
worst = 0
for number in range(20):
    begun = time.monotonic()
    with open(mount + "/calm/0", "a") as file: file.write("calm %d\n" % number)
    os.listdir(mount)
    worst = max(worst, time.monotonic() - begun)
peak = resident_kib()
for child in children: os.kill(child, signal.SIGKILL)
for child in children: os.waitpid(child, 0)
print("# worst %.3f s, %d KiB more" % (worst, peak - before))
assert worst < 5, worst
assert peak - before < 200 * 1024, (before, peak)
with open(mount + "/calm/0") as file: assert file.read() == "".join("calm %d\n" % n for n in range(20))
lines = 0
with open(mount + "/bomb/0", "rb") as file:
    for line in file:
        assert len(line) == 10001 and line == line[:4] * 2500 + b"\n", line[:20]
        lines += 1
assert lines > 0
PYTHON
check_equal 'three hundred writers at once' 0 $?

cd / || exit 1
stop_node
finish
