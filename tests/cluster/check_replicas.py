#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the replicas of partitions, batch by batch, as they are in the nodes' directories.

    check_replicas.py TOPIC PARTITIONS DATA_DIRECTORY...

Of a cluster in which nobody writes and every replica is in sync: then all of a log is below the high watermark, and
its replicas hold the same batches at the same offsets, whatever their segments are. A node without the partition is no
replica. Prints a line of tests/harness.sh for each partition; ends with 1 when replicas differ.
"""
import hashlib
import pathlib
import struct
import sys


def batches_of(directory):
    """offset -> (next offset, hash) of every batch, in log order."""
    batches = {}
    for segment in sorted(directory.glob("*.log")):
        data = segment.read_bytes()
        position = 0
        while position + 61 <= len(data):
            offset, size = struct.unpack_from(">qi", data, position)
            if size <= 0:  # Room that was made beforehand.
                break
            last_delta, = struct.unpack_from(">i", data, position + 23)
            whole = data[position:position + 12 + size]
            batches[offset] = (offset + last_delta + 1, hashlib.sha1(whole).hexdigest())
            position += 12 + size
    return batches


def compare(replicas):
    """What is wrong with these (name, batches), in words; None when they agree."""
    if len(replicas) < 2:
        return "there are less than two replicas"
    ends = {name: max((end for end, _ in batches.values()), default=0) for name, batches in replicas}
    if len(set(ends.values())) > 1:
        return f"they end at {ends}"
    begin = max(min(batches, default=0) for _, batches in replicas)
    first_name, first = replicas[0]
    for name, batches in replicas[1:]:
        for offset in sorted(set(first) | set(batches)):
            if offset >= begin and first.get(offset) != batches.get(offset):
                return f"{first_name} and {name} differ at {offset}: {first.get(offset)}, {batches.get(offset)}"
    return None


def main():
    topic, partitions = sys.argv[1], int(sys.argv[2])
    failed = False
    for partition in range(partitions):
        directories = [pathlib.Path(data) / f"{topic}-{partition}" for data in sys.argv[3:]]
        replicas = [(str(path.parent.parent.name), batches_of(path)) for path in directories if path.is_dir()]
        wrong = compare(replicas)
        words = f"{topic}/{partition}: {len(replicas)} replicas hold the same batches"
        print(f"ok - {words}" if wrong is None else f"not ok - {words}: {wrong}")
        failed = failed or wrong is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
