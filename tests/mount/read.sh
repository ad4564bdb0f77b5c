#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tools people use read a partition as they would a file.
. "$(dirname "$0")/../harness.sh"
needs python3 kcat

start_node
mkdir "$MOUNT/log"
for partition in 1 2 3; do touch "$MOUNT/log/$partition"; done
seq -f 'line %06g of a log with some words in it' 20000 > "$TEST_DIR/lines"
cd "$MOUNT/log" || exit 1
cat "$TEST_DIR/lines" >> 0

check_same 'cat' "$TEST_DIR/lines" <(cat 0)
check_equal 'wc' "$(wc < "$TEST_DIR/lines")" "$(wc < 0)"
check_equal 'wc -c' "$(wc -c < "$TEST_DIR/lines")" "$(wc -c < 0)"
check_equal 'head' "$(head -n 3 "$TEST_DIR/lines")" "$(head -n 3 0)"
check_equal 'tail -n' "$(tail -n 3 "$TEST_DIR/lines")" "$(tail -n 3 0)"
check_equal 'tail -n +N' "$(tail -n +19990 "$TEST_DIR/lines")" "$(tail -n +19990 0)"
check_equal 'tail -c' "$(tail -c 100 "$TEST_DIR/lines")" "$(tail -c 100 0)"
check_equal 'grep' "$(grep 7777 "$TEST_DIR/lines")" "$(grep 7777 0)"
check_equal 'sed, awk, sort' "$(sed -n 5p "$TEST_DIR/lines" | awk '{ print $2 }')" \
    "$(sort -r 0 | tail -n 5 | sed -n 1p | awk '{ print $2 }')"
for size in 1 7 100 4096 65536 1M 3M; do
    [ $size != 1 ] || continue
    check_same "dd bs=$size" "$TEST_DIR/lines" <(dd if=0 bs=$size status=none)
done
cp 0 "$TEST_DIR/copy"
check_same 'cp' "$TEST_DIR/lines" "$TEST_DIR/copy"
cp -a 0 "$TEST_DIR/archive"
check_same 'cp -a' "$TEST_DIR/lines" "$TEST_DIR/archive"
check_same 'python, line by line' "$TEST_DIR/lines" <(python3 -c 'for line in open("0"): print(line, end="")')
check_equal 'python, anywhere' 'line 012345' "$(python3 -c '
import os
file = os.open("0", os.O_RDONLY)
print(os.pread(file, 11, 12344 * 43).decode())')"
if command -v less > /dev/null; then
    check_same 'less' "$TEST_DIR/lines" <(less -f 0 < /dev/null | cat)
fi
if command -v rsync > /dev/null; then
    check 'rsync -a of the whole topic' rsync -a "$MOUNT/log" "$TEST_DIR/synced"
    check_same 'brings the records' "$TEST_DIR/lines" "$TEST_DIR/synced/log/0"
fi
tar cf "$TEST_DIR/log.tar" -C "$MOUNT" log
check_equal 'tar' 0 $?
mkdir "$TEST_DIR/untarred" && tar xf "$TEST_DIR/log.tar" -C "$TEST_DIR/untarred"
check_same 'brings the records too' "$TEST_DIR/lines" "$TEST_DIR/untarred/log/0"
check_same 'as it does the small files' .info "$TEST_DIR/untarred/log/.info"

produce log 1 < "$TEST_DIR/lines"
check_same 'what a Kafka client produced' "$TEST_DIR/lines" 1
kcat -P -b "$BOOTSTRAP" -t log -p 2 -z gzip < "$TEST_DIR/lines"
kcat -P -b "$BOOTSTRAP" -t log -p 2 -z lz4 < "$TEST_DIR/lines"
kcat -P -b "$BOOTSTRAP" -t log -p 2 -z snappy < "$TEST_DIR/lines"
check_same 'compressed batches' <(cat "$TEST_DIR/lines" "$TEST_DIR/lines" "$TEST_DIR/lines") 2
check_equal 'their size' "$((3 * $(wc -c < "$TEST_DIR/lines")))" "$(stat -c %s 2)"
check_equal 'tail of a compressed batch' "$(tail -n 2 "$TEST_DIR/lines")" "$(tail -n 2 2)"

python3 - << 'PYTHON'
import errno, mmap, os
file = os.open("0", os.O_RDONLY)
size = os.fstat(file).st_size
def fails(number, call):
    try:
        call()
    except OSError as error:
        assert error.errno == number, error
        return
    raise SystemExit("succeeded")
fails(errno.ENXIO, lambda: os.lseek(file, size, os.SEEK_DATA))
fails(errno.ENXIO, lambda: os.lseek(file, size + 5, os.SEEK_DATA))
assert os.lseek(file, 5, os.SEEK_DATA) == 5
assert os.lseek(file, 5, os.SEEK_HOLE) == size
assert os.pread(file, 10, size) == b""
assert os.pread(file, 10, 2**62) == b""
fails(errno.ENODEV, lambda: mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ))
assert mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ)[:11] == b"line 000001"
assert os.fstat(file).st_blksize == 1 << 20
direct = os.open("0", os.O_RDONLY | os.O_DIRECT)
assert os.pread(direct, 11, 0) == b"line 000001"
PYTHON
check_equal 'SEEK_DATA and SEEK_HOLE, reading past the end, mmap, O_DIRECT' 0 $?

check_equal 'the last records by offset' "$(tail -n 5 "$TEST_DIR/lines")" "$(cat 0@-5)"
check_equal 'a range of offsets' "$(sed -n '101,110p' "$TEST_DIR/lines")" "$(cat 0@100:110)"
check_equal 'the size of a range' 430 "$(stat -c %s 0@100:110)"
check_same 'everything' "$TEST_DIR/lines" 0@start
check_equal 'the end' '' "$(cat 0@end)"
check_same 'an hour ago' "$TEST_DIR/lines" 0@-1h
check_error 'no such place' 'No such file' cat 0@yesterday
check_error 'a view is not written' 'Operation not permitted' append_line 0@start x
check_not 'views are not listed' sh -c 'ls -a | grep -q @'

readers() {
    local reader pids=()
    for reader in 1 2 3 4 5 6; do
        cmp -s "$TEST_DIR/lines" 0 &
        pids+=($!)
    done
    for reader in "${pids[@]}"; do wait "$reader" || return 1; done
}
check 'six readers at once' readers
check_equal 'find comes to its end' 4 "$(find "$MOUNT" -type f -name '[0-9]*' -path '*/log/*' -not -path '*/.groups/*' | wc -l)"
check 'grep -r comes to its end' grep -rqs 'line 019999' "$MOUNT"
check 'df and du' sh -c "df '$MOUNT' > /dev/null && du -s '$MOUNT' > /dev/null"

cd / || exit 1
stop_node
finish
