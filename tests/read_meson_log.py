#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the outcomes in a meson test log, "passed|failed|skipped TAB NAME TAB WORDS" a line.

read_meson_log.py SUITE testlog.json: a program that uses cmocka counts once for each of its tests, any
other program once.
"""
import json
import re
import sys

SUMMARY = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.MULTILINE)
FAILED_TEST = re.compile(r"^\[  FAILED  \] ([A-Za-z_]\w*)$", re.MULTILINE)
OUTCOMES = {"PASSED": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def program_outcomes(result, output):
    """Yields (outcome, words) for one program."""
    counts = {}
    for outcome, count in SUMMARY.findall(output):
        counts[OUTCOMES[outcome]] = counts.get(OUTCOMES[outcome], 0) + int(count)
    for _ in range(counts.get("passed", 0)):
        yield "passed", ""
    if result == "SKIP":
        yield "skipped", "the program skipped itself"
        return
    for _ in range(counts.get("skipped", 0)):
        yield "skipped", "a test of the program skipped itself"
    if result in ("OK", "EXPECTEDFAIL"):
        if not counts:
            yield "passed", ""
        return
    failed = sorted(set(FAILED_TEST.findall(output)))
    for name in failed:
        yield "failed", name
    if not failed:
        yield "failed", result.lower()


def main():
    suite, path = sys.argv[1:]
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            runs = [json.loads(line) for line in log]
    except FileNotFoundError:
        runs = []
    for run in runs:
        name = run["name"].split(" / ")[-1].split(":")[-1]
        output = (run.get("stdout") or "") + "\n" + (run.get("stderr") or "")
        outcomes = list(program_outcomes(run["result"], output))
        for outcome, words in outcomes:
            print(f"{outcome}\t{suite}/{name}\t{words}")
        if any(outcome == "failed" for outcome, _ in outcomes):
            for line in output.strip().splitlines()[-25:]:
                print("    " + line, file=sys.stderr)


if __name__ == "__main__":
    main()
