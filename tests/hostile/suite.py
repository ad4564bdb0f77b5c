# SPDX-License-Identifier: Apache-2.0
"""Runs hostile inputs against a node, and looks after each whether the node is as well as before."""
import os
import re
import sys
import traceback

import kafka

MEBIBYTE = 1 << 20
MEMORY_MAX = 64 * MEBIBYTE  # An input may cost this much for a moment, unless it says otherwise.


class Suite:
    """PORT, NODE_PID and NODE_LOG come from the environment (tests/hostile/*.sh)."""

    def __init__(self):
        self.port = int(os.environ["PORT"])
        self.pid = int(os.environ["NODE_PID"])
        self.cases = []
        self.failed = False
        self.healthy_count = 0
        self.healthy = None
        self.resting_bytes = 0

    def connect(self, **options):
        return kafka.Connection(self.port, **options)

    def case(self, words, memory_max=MEMORY_MAX):
        """Decorates a function that returns None, or says what was wrong."""
        def add(function):
            self.cases.append((words, function, memory_max))
            return function
        return add

    def report(self, words, wrong):
        if wrong:
            self.failed = True
            print(f"not ok - {words}: {wrong}", flush=True)
        else:
            print(f"ok - {words}", flush=True)

    def memory(self, row):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(rf"^{row}:\s+(\d+) kB", status.read(), re.MULTILINE).group(1)) * 1024

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")

    def check_health(self):
        """A client that was there before, and a new one, produce and fetch."""
        with self.connect() as newcomer:
            for connection in (self.healthy, newcomer):
                self.healthy_count += 1
                value = b"healthy-%d" % self.healthy_count
                error, offset = kafka.produce(connection, "healthy", kafka.batch([value]))
                if error:
                    return f"a healthy client's produce: error {error}"
                error, records = kafka.fetch(connection, "healthy", offset)
                if error or value not in records:
                    return f"a healthy client's fetch: error {error}"
        return None

    def examine(self, function, memory_max):
        self.forget_peak()
        resting_bytes = self.memory("VmRSS")
        wrong = function()
        if wrong:
            return wrong
        wrong = self.check_health()
        if wrong:
            return "afterwards, " + wrong
        grown = self.memory("VmHWM") - resting_bytes
        if grown > memory_max:
            return f"memory grew by {grown // MEBIBYTE} MiB"
        return None

    def run(self):
        self.healthy = self.connect()
        kafka.create_topic(self.healthy, "healthy")
        self.report("a healthy client is served", self.check_health())
        self.resting_bytes = self.memory("VmRSS")
        chosen = sys.argv[1:]
        for words, function, memory_max in self.cases:
            if chosen and function.__name__ not in chosen:
                continue
            try:
                wrong = self.examine(function, memory_max)
            except Exception as error:  # pylint: disable=broad-except
                wrong = f"{type(error).__name__} {error} at " + \
                    "; ".join(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:])
            self.report(words, wrong)
            if not os.path.exists(f"/proc/{self.pid}"):
                self.report("the node is there", "it is gone")
                return 1
        grown = self.memory("VmRSS") - self.resting_bytes
        self.report("in the end nothing much stays in memory", f"{grown // MEBIBYTE} MiB" if grown > MEMORY_MAX else None)
        return 1 if self.failed else 0


def expect(wanted, got):
    """None when equal, or among several; else what a report says."""
    if got == wanted or (isinstance(wanted, tuple) and not isinstance(got, tuple) and got in wanted):
        return None
    return f"{wanted} is owed, it was {got}"
