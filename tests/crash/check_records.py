#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what a partition holds with what its producers were told and what its consumer groups saw.

    check_records.py LABEL PARTITION RECORDS JOURNAL...

RECORDS is the output of `kcat -C -f '%o %s\\n'` for one partition, JOURNAL is described in journal.h (of a producer)
or tests/cluster/group_consumer.c (of a member of a group). Prints a line of tests/harness.sh for each promise; ends
with 1 when one is broken.
"""
import collections
import sys

SHOWN = 5


class Journal:
    def __init__(self, path, partition):
        self.acknowledged = {}  # sequence -> offset, -1 where it was not told
        self.sent = None        # None: the producer did not get to its end
        self.highest = -1
        with open(path, encoding="ascii") as lines:
            _, self.name, self.kind = next(lines).split()
            for line in lines:
                words = line.split()
                if not line.endswith("\n") or int(words[1]) != partition:
                    continue
                if words[0] == "sent":
                    self.sent = int(words[2])
                    continue
                self.highest = max(self.highest, int(words[2]))
                if words[0] == "ack":
                    self.acknowledged[int(words[2])] = int(words[3])


class Group:
    """What all members of one consumer group saw and did in one partition."""

    def __init__(self, name):
        self.name = name
        self.seen = {}      # offset -> (producer, sequence)
        self.changed = []   # offsets at which two looks were not the same
        self.skipped = []   # (offset, next): seen one after the other, with an offset between
        self.commits = []   # (time, offset)
        self.starts = []    # (time, offset)

    def read(self, path, partition):
        position = None
        with open(path, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                words = line.split()
                if not line.endswith("\n") or int(words[1]) != partition:
                    continue
                offset = int(words[2])
                if words[0] == "committed":
                    self.commits.append((int(words[3]), offset))
                elif words[0] == "assigned":
                    self.starts.append((int(words[3]), offset))
                    position = offset
                else:
                    record = (words[3], int(words[4]))
                    if self.seen.setdefault(offset, record) != record:
                        self.changed.append(offset)
                    if offset != position:
                        self.skipped.append((position, offset))
                    position = offset + 1


def record_fill(sequence, size):
    pattern = f"{sequence * 2654435761 % 2**32:08x}"
    return (pattern * (size // 8 + 1))[:size]


class Check:
    def __init__(self, label):
        self.label = label
        self.failed = False

    def that(self, words, wrong):
        """`wrong` lists what breaks the promise."""
        if not wrong:
            print(f"ok - {self.label}: {words}")
            return
        self.failed = True
        print(f"not ok - {self.label}: {words}: not so for {len(wrong)}, such as {wrong[:SHOWN]}")


def read_records(path):
    """(offset, text) of every record; the values of these tests have no newline in them."""
    with open(path, encoding="latin-1", newline="\n") as lines:
        for line in lines:
            offset, _, text = line.rstrip("\n").partition(" ")
            yield int(offset), text


def examine(path, journals):
    """Every producer's (sequence, offset) in log order; the holes; what nobody sent in this form."""
    found = collections.defaultdict(list)
    holes, foreign, expected = [], [], None
    for offset, text in read_records(path):
        if expected is not None and offset != expected:
            holes.append((expected, offset))
        expected = offset + 1
        name, _, rest = text.partition(" ")
        number, _, fill = rest.partition(" ")
        journal = journals.get(name)
        if journal is None or not number.isdigit() or \
                (journal.sent is not None and int(number) >= journal.sent) or \
                fill != record_fill(int(number), len(fill)):
            foreign.append((offset, text[:60]))
        else:
            found[name].append((int(number), offset))
    return found, holes, foreign


def check_producer(check, journal, found):
    counts = collections.Counter(sequence for sequence, _ in found)
    lost = [sequence for sequence in journal.acknowledged if sequence not in counts]
    check.that(f"{journal.name} ({journal.kind}): none of {len(journal.acknowledged)} "
               "acknowledged records is lost", lost)
    if journal.kind not in ("plain", "unordered"):
        check.that(f"{journal.name}: no record is there twice",
                   [sequence for sequence, count in counts.items() if count > 1])
    seen, order, last = set(), [], -1
    for sequence, offset in found:
        if sequence not in seen and sequence < last:
            order.append((sequence, offset))
        seen.add(sequence)
        last = max(last, sequence)
    if journal.kind != "unordered":
        check.that(f"{journal.name}: records are in the order they were sent", order)
    places = collections.defaultdict(set)
    for sequence, offset in found:
        places[sequence].add(offset)
    check.that(f"{journal.name}: acknowledged offsets are where the records are",
               [(sequence, offset) for sequence, offset in journal.acknowledged.items()
                if offset >= 0 and offset not in places[sequence]])


def check_group(check, group, found):
    there = {offset: (name, sequence) for name, records in found.items() for sequence, offset in records}
    name = f"group {group.name}"
    check.that(f"{name}: all of {len(group.seen)} records seen are there, the same",
               group.changed + [offset for offset, record in group.seen.items() if there.get(offset) != record])
    check.that(f"{name}: no member skipped an offset", group.skipped)
    last = max((offset for _, offset in group.commits), default=0)
    check.that(f"{name}: every record below the last commit ({last}) was seen",
               [offset for offset in range(last) if offset not in group.seen])
    commits, lost, highest, place = sorted(group.commits), [], 0, 0
    for asked, offset in sorted(group.starts):
        while place < len(commits) and commits[place][0] < asked:
            highest = max(highest, commits[place][1])
            place += 1
        if offset < highest:
            lost.append((offset, highest))
    check.that(f"{name}: none of {len(commits)} commits was lost at {len(group.starts)} assignments", lost)


def read_journals(paths, partition):
    """Those of the producers and those of the groups, by name."""
    journals, groups = {}, {}
    for path in paths:
        with open(path, encoding="ascii") as lines:
            kind, _, name = next(lines).split()
        if kind == "consumer":
            groups.setdefault(name, Group(name)).read(path, partition)
        else:
            journal = Journal(path, partition)
            journals[journal.name] = journal
    return journals, groups


def main():
    label, partition, records = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    journals, groups = read_journals(sys.argv[4:], partition)
    check = Check(f"{label}/{partition}")
    found, holes, foreign = examine(records, journals)
    check.that("offsets follow each other", holes)
    check.that("every record is one that was sent, whole", foreign)
    for journal in journals.values():
        if journal.highest >= 0 or journal.sent:
            check_producer(check, journal, found[journal.name])
    for group in groups.values():
        check_group(check, group, found)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
