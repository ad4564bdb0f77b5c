#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Floods of topics, partitions and open files stop at what the node was told to bear, and whoever is within it goes on.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node topicfs.partitions.max=20 topicfs.mount.open.files.max=200
cd "$MOUNT" || exit 1

flood() {
    local name
    for name in $(seq 100); do mkdir "t$name" || return; done
}
check_error 'a flood of topics' 'Disk quota exceeded' flood
check_equal 'ends at the quota' 20 "$(ls | wc -l)"
check_error 'one more partition' 'Disk quota exceeded' touch t1/1
check_error 'also by the count' 'Disk quota exceeded' bash -c 'echo 4 > t1/.config/partitions'
check 'the reason says what to do' grep -q 'mkdir.t21.EDQUOT.*topicfs.partitions.max=20' .errors
check 'as for partitions' grep -q 't1/.config/partitions.EDQUOT.*delete topics or raise it' .errors
check 'what is there takes records' append_line t20/0 kept
check 'what the node needs itself is made all the same' bash -c 'mkdir .groups/g && echo 0 > .groups/g/t1/0'
check 'a topic goes' rmdir t2
check_error 'the node'"'"'s own partitions count' 'Disk quota exceeded' mkdir again
if command -v kcat > /dev/null; then
    echo x | timeout 5 kcat -P -b "$BOOTSTRAP" -t automatic -X topic.metadata.propagation.max.ms=1000 2> /dev/null
    check_not 'nor does a client'"'"'s question make a topic' test -e automatic
fi

python3 - << 'PYTHON'
import errno, os, time
def flood(uid, path="t20/0"):
    """Opens until refused, in a process of that user; says how many, then closes them."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        if uid: os.setresuid(uid, uid, uid)
        files, number = [], 0
        try:
            while len(files) < 500: files.append(os.open(path, os.O_RDONLY))
        except OSError as error:
            number = error.errno
        os.write(writer, b"%d %d" % (len(files), number))
        os._exit(0)
    os.wait()
    return tuple(map(int, os.read(reader, 100).split()))
if os.geteuid() == 0:
    held = [os.open("t20/0", os.O_RDONLY) for _ in range(50)]
    assert flood(65534) == (100, errno.ENFILE), flood(65534)
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for file in held + [directory]: os.close(file)
deadline = time.monotonic() + 10
while True:
    files = []
    try:
        while len(files) < 500: files.append(os.open("t20/0", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.ENFILE, error
    # What was closed just now is counted until the kernel says so.
    if len(files) == 200 or time.monotonic() > deadline: break
    for file in files: os.close(file)
assert len(files) == 200, len(files)
try:
    os.listdir(".")
    raise SystemExit("a directory was opened beyond the cap")
except OSError as error:
    assert error.errno == errno.ENFILE, error
assert os.stat("t20/0").st_size == 5  # Only opening is refused.
for file in files: os.close(file)
PYTHON
check_equal 'open files are counted, for all and for each user' 0 $?
closed() { ls > /dev/null 2>&1; }
check 'closed files can be opened again' wait_for 5 closed
check 'and the reason was kept' grep -q 'open.t20/0.ENFILE.*topicfs.mount.open.files.max' .errors
check_equal 'the record is there' kept "$(cat t20/0)"

cd / || exit 1
stop_node
start_node topicfs.partitions.max=-1
check 'without a limit' mkdir "$MOUNT/again"
stop_node
finish
