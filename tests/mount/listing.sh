#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Large directories are listed whole and quickly.
limit_seconds=180
. "$(dirname "$0")/../harness.sh"
needs python3

start_node
mkdir "$MOUNT/wide"
echo 10000 > "$MOUNT/wide/.config/partitions"
begun=${EPOCHREALTIME/[.,]/}
check_equal 'ten thousand partitions' 10000 "$(ls "$MOUNT/wide" | wc -l)"
took=$((${EPOCHREALTIME/[.,]/} - begun))
check "are listed within a second ($took us)" test $took -lt 1000000
check_equal 'each once' 10000 "$(ls -f "$MOUNT/wide" | grep -c '^[0-9]*$')"
check_equal 'with attributes' 10000 "$(ls -l "$MOUNT/wide" | grep -c ' [0-9]*$' | awk '{ print $1 - 1 }')"
check 'the last one takes records' append_line "$MOUNT/wide/9999" last
check_equal 'and gives them' last "$(cat "$MOUNT/wide/9999")"
python3 - "$MOUNT/wide" << 'PYTHON'
import os, sys
# A directory read again from its start shows what is there now.
with os.scandir(sys.argv[1]) as entries:
    names = [entry.name for entry in entries if entry.is_file() and entry.name.isdigit()]
assert sorted(names, key=int) == [str(number) for number in range(10000)]
PYTHON
check_equal 'python sees the same' 0 $?
stop_node
finish
