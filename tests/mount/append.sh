#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is written to a partition file becomes records: a line each, whole, in order, whatever the writes were.
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/orders"
for partition in 1 2 3 4 5 6; do touch "$MOUNT/orders/$partition"; done
cd "$MOUNT/orders" || exit 1

check 'echo appends a record' append_line 0 hello
check_equal 'and cat shows it' hello "$(cat 0)"
append_line 0 ''
append_line 0 'third record'
check_equal 'an empty line is an empty record' $'hello\n\nthird record' "$(cat 0)"
check_equal 'a consumer gets the same' $'hello\n\nthird record' "$(consume orders 0)"
check_equal 'the size is the text' 20 "$(stat -c %s 0)"

printf 'unended' >> 1
check 'a line without an end becomes a record at close' wait_for 5 grep -qx unended 1
exec 5>> 1
printf 'one ' >&5
printf 'line\nnext ' >&5
check_equal 'a line over two writes is one record' $'unended\none line' "$(cat 1)"
printf 'one' >&5
exec 5>&-
check 'the tail follows at the last close' wait_for 5 grep -qx 'next one' 1
check_equal 'three records' 3 "$(wc -l < 1)"

python3 - 2 << 'PYTHON'
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(file, b"tail")
assert os.stat(sys.argv[1]).st_size == 0, "nothing is stored before the line ends"
os.fsync(file)
assert os.stat(sys.argv[1]).st_size == 5, "fsync stores the line begun"
os.fsync(file)
assert os.stat(sys.argv[1]).st_size == 5, "once"
other = os.open(sys.argv[1], os.O_RDWR)
assert os.pwrite(other, b"past\n", 0) == 5
os.lseek(other, 0, os.SEEK_SET)
assert os.write(other, b"again\n") == 6
assert os.write(other, b"") == 0
assert os.pread(other, 100, 0) == b"tail\npast\nagain\n"
os.write(other, b"nul \0 byte\n")
assert os.pread(other, 100, 16) == b"nul \0 byte\n"
PYTHON
check_equal 'fsync, pwrite in the past, empty writes and NUL bytes' 0 $?

# rsync --append is one of those who set the size that they have written.
touch 7
printf 'a\nb\n' >> 7
check 'the size a file has may be set again' truncate -s 4 7
check_error 'a larger one may not' 'Operation not permitted' truncate -s 5 7
check_error 'nor a smaller' 'Operation not permitted' truncate -s 2 7
check_equal 'and nothing came of it' $'a\nb' "$(cat 7)"
if command -v rsync > /dev/null; then
    printf 'a\nb\nc\n' > "$TEST_DIR/source"
    check 'rsync --append brings what is new' rsync --inplace --append "$TEST_DIR/source" 7
    check_equal 'behind what was there' $'a\nb\nc' "$(cat 7)"
fi

writers() {
    local writer pids=()
    for writer in a b c d; do
        (
            exec 6>> 3
            for number in $(seq 500); do echo "$writer $number $(printf '%0200d' "$number")" >&6; done
        ) &
        pids+=($!)
    done
    wait "${pids[@]}"
}
check 'four writers at once' writers
check_equal 'no record is lost' 2000 "$(wc -l < 3)"
for writer in a b c d; do
    check_equal "those of writer $writer are whole and in order" \
        "$(for number in $(seq 500); do echo "$writer $number $(printf '%0200d' "$number")"; done | sha256sum)" \
        "$(grep "^$writer " 3 | sha256sum)"
done

python3 - "$TEST_DIR" << 'PYTHON'
import os, sys, threading
# Lines longer than one kernel write, by two writers: no line tears another.
def write(letter):
    with open("4", "ab", buffering=0) as file:
        for number in range(20):
            line = (letter * 700000) + b"\n"
            view = memoryview(line)
            while view:
                view = view[file.write(view):]
def lines(letter):
    with open("4", "ab", buffering=0) as file:
        for number in range(20):
            block = memoryview(b"".join(letter * 300000 + b"\n" for _ in range(10)))
            while block:
                block = block[file.write(block):]
threads = [threading.Thread(target=write, args=(b"x",)), threading.Thread(target=write, args=(b"y",)),
           threading.Thread(target=lines, args=(b"z",))]
for thread in threads: thread.start()
for thread in threads: thread.join()
counts = {}
with open("4", "rb") as file:
    for line in file:
        key = (line[:1], len(line))
        assert line == line[:1] * (len(line) - 1) + b"\n", "a torn line"
        counts[key] = counts.get(key, 0) + 1
assert counts == {(b"x", 700001): 20, (b"y", 700001): 20, (b"z", 300001): 200}, counts
PYTHON
check_equal 'large lines of three writers are whole' 0 $?

echo 4000000 > .config/max.message.bytes
python3 - << 'PYTHON'
import errno, os
file = os.open("5", os.O_WRONLY | os.O_APPEND)
def write_all(data):
    view = memoryview(data)
    while view:
        view = view[os.write(file, view):]
write_all(b"L" * 3900000 + b"\n")
assert os.stat("5").st_size == 3900001
try:
    write_all(b"M" * 4100000 + b"\n")
    raise SystemExit("a line larger than max.message.bytes was taken")
except OSError as error:
    assert error.errno == errno.EMSGSIZE, error
os.close(file)
file = os.open("5", os.O_WRONLY | os.O_APPEND)
write_all(b"after\n")
with open("5", "rb") as whole:
    assert [len(line) for line in whole] == [3900001, 6]
PYTHON
check_equal 'a line up to max.message.bytes is one record; a larger one is refused whole' 0 $?
check_equal 'a consumer gets the long line whole' '3900000 5' \
    "$(kcat -C -q -e -b "$BOOTSTRAP" -t orders -p 5 -o beginning -f '%S ' -X fetch.message.max.bytes=8000000 | xargs)"

dd if=/dev/zero bs=1M count=8 2> /dev/null | tr '\0' 'a' | fold -w 99 > "$TEST_DIR/folded"
echo >> "$TEST_DIR/folded"
check 'a file of short lines goes in' dd if="$TEST_DIR/folded" of=6 bs=4M conv=notrunc,fsync status=none
check_same 'and comes out' "$TEST_DIR/folded" 6
check_same 'to a consumer too' "$TEST_DIR/folded" <(consume orders 6)

cd / || exit 1
stop_node
finish
