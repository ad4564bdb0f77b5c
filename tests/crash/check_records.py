#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what a partition holds with what its producers were told.

    check_records.py LABEL PARTITION RECORDS JOURNAL...

RECORDS is the output of `kcat -C -f '%o %s\\n'` for one partition, JOURNAL is described in journal.h. Prints a line
of tests/harness.sh for each promise; ends with 1 when one is broken.
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
    if journal.kind != "plain":
        check.that(f"{journal.name}: no record is there twice",
                   [sequence for sequence, count in counts.items() if count > 1])
    seen, order, last = set(), [], -1
    for sequence, offset in found:
        if sequence not in seen and sequence < last:
            order.append((sequence, offset))
        seen.add(sequence)
        last = max(last, sequence)
    check.that(f"{journal.name}: records are in the order they were sent", order)
    places = collections.defaultdict(set)
    for sequence, offset in found:
        places[sequence].add(offset)
    check.that(f"{journal.name}: acknowledged offsets are where the records are",
               [(sequence, offset) for sequence, offset in journal.acknowledged.items()
                if offset >= 0 and offset not in places[sequence]])


def main():
    label, partition, records = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    journals = {}
    for path in sys.argv[4:]:
        journal = Journal(path, partition)
        journals[journal.name] = journal
    check = Check(f"{label}/{partition}")
    found, holes, foreign = examine(records, journals)
    check.that("offsets follow each other", holes)
    check.that("every record is one that was sent, whole", foreign)
    for journal in journals.values():
        if journal.highest >= 0 or journal.sent:
            check_producer(check, journal, found[journal.name])
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
