# SPDX-License-Identifier: Apache-2.0
"""What the Python client tests share: checks that print, numbered records, and one scenario for groups."""
import sys
import threading
import time

failed = 0


def check(passed, words, detail=""):
    """Prints one outcome; detail is said only where it failed."""
    global failed
    if passed:
        print(f"ok - {words}", flush=True)
    else:
        failed += 1
        print(f"not ok - {words} {detail}", flush=True)


def check_equal(got, expected, words):
    check(got == expected, words, f"(expected {expected!r:.300}, got {got!r:.300})")


def check_raises(kind, words, call, *arguments, **keywords):
    """Passes when the call raises `kind`, or an error whose text names it where kind is a text."""
    try:
        call(*arguments, **keywords)
    except Exception as error:  # pylint: disable=broad-except
        matches = kind in repr(error) if isinstance(kind, str) else isinstance(error, kind)
        check(matches, words, f"(raised {error!r})")
        return
    check(False, words, "(raised nothing)")


def wait_for(condition, seconds):
    """Looks at the condition until it holds; False at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def number(n):
    """Record n: key, value, headers."""
    return b"k%d" % n, b"v%d" % n, [("h", b"h%d" % n), ("empty", b"")]


class Member:
    """One member of a group in a thread: poll() gives [(partition, offset, key, value)]."""

    def __init__(self, client):
        self.client = client
        self.records = []
        self.stopping = threading.Event()
        self.error = None
        self.assigned = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.records.extend(self.client.poll())
                self.assigned = self.client.partitions_assigned()
            self.client.close()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.stopping.set()
        self.thread.join(30)


def check_members(words, members, partitions, last):
    """Every record of every partition came to one member once, whole, and in order within a member."""
    seen = {}
    disorder = 0
    for member in members:
        ends = {}
        for partition, offset, key, value in member.records:
            seen[partition, offset] = seen.get((partition, offset), 0) + 1
            if (key, value) != number(offset)[:2] or offset <= ends.get(partition, -1):
                disorder += 1
            ends[partition] = offset
    errors = [member.error for member in members if member.error is not None]
    check(not errors, f"{words}: every member ended without error", f"({errors!r})")
    expected = {(partition, offset): 1 for partition in range(partitions) for offset in range(last)}
    wrong = {place for place in expected.keys() | seen.keys() if seen.get(place) != expected.get(place)}
    check(not wrong, f"{words}: every record goes to one member once", f"({len(wrong)} do not: {sorted(wrong)[:5]})")
    check(disorder == 0, f"{words}: each member reads each partition in order", f"({disorder} are not)")


def check_rebalances(words, new_client, produce_round):
    """Two members share six partitions, a third joins, one leaves. produce_round(first, count) for each partition."""
    def total():
        return sum(len(member.records) for member in members)

    def shared(sharing):
        return all(member.assigned == 6 // len(sharing) for member in sharing)

    produce_round(0, 100)
    members = [Member(new_client()), Member(new_client())]
    check(wait_for(lambda: total() >= 600, 40), f"{words}: two members read", f"({total()} records)")
    check(wait_for(lambda: shared(members), 40), f"{words}: each has three partitions")
    members.append(Member(new_client()))
    check(wait_for(lambda: shared(members), 40), f"{words}: a third joins and each has two")
    produce_round(100, 100)
    check(wait_for(lambda: total() >= 1200, 40), f"{words}: three members read", f"({total()} records)")
    members[1].stop()
    check(wait_for(lambda: shared([members[0], members[2]]), 40), f"{words}: one leaves and the others have three")
    produce_round(200, 100)
    check(wait_for(lambda: total() >= 1800, 40), f"{words}: those left read the rest", f"({total()} records)")
    members[0].stop()
    members[2].stop()
    check_members(words, members, 6, 300)


def conclude():
    sys.stdout.flush()
    sys.exit(1 if failed else 0)
