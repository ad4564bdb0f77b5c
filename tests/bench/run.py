#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures topicfs beside the machine's limits and, when asked, Apache Kafka: a table of ratios, each
with the one it should reach. Says nothing about passing: see README.md."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import contenders
import figures

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Bench:
    def __init__(self, arguments):
        self.build = arguments.build.resolve()
        self.folder = arguments.dir.resolve() / f"topicfs-bench-{os.getpid()}"
        self.rounds = arguments.rounds
        self.scale = arguments.scale
        self.run_id = os.getpid()
        self.topicfs = arguments.topicfs or self.build / "broker/daemon/topicfs"
        self.bare_node = contenders.BareNode(self)
        self.bare_mount = contenders.BareMount(self, arguments.threads)
        self.topicfs_port = contenders.Topicfs(self)
        self.topicfs_mount = self.topicfs_port
        self.kafka = contenders.Kafka(self, arguments.kafka) if arguments.kafka else None

    def program(self, name):
        return self.build / "tests/bench" / name

    def kafka_warm(self):
        self.kafka.warm(warm_load)

    def close(self):
        close(self, (self.bare_node, self.bare_mount, self.topicfs_port, self.kafka))


def warm_load(kafka, topic):
    for batch, requests in ((65536, 4000), (1024, 20000)):
        kafka.drive("produce", "--topic", topic, "--partitions", 2, "--connections", 2,
                    "--in-flight", 5, "--batch-bytes", batch, "--requests", requests)
    kafka.drive("fetch", "--topic", topic, "--partitions", 2, "--connections", 2, "--requests", 500)


def close(bench, all_contenders):
    for contender in all_contenders:
        if contender is not None:
            try:
                contender.stop()
            except (OSError, subprocess.SubprocessError) as error:
                print(f"stop {contender.name}: {error}", file=sys.stderr)
    shutil.rmtree(bench.folder, ignore_errors=True)


def touch_memory():
    """The first touch of a guest's page costs more than anything measured here."""
    available = 0
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    size = available * 6 // 10
    path = pathlib.Path("/dev/shm") / f"topicfs-bench-{os.getpid()}"
    block = bytes(1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(size >> 20):
                file.write(block)
    finally:
        path.unlink()


def print_rows(rows):
    for row in rows:
        sign = "<=" if row.at_most else ">="
        target = "" if row.target is None else f"{sign} {row.target:g}"
        verdict = "" if row.target is None or row.reached() else "  missed"
        print(f"{row.figure:52} {row.ours:>14} {row.theirs:>14} {row.ratio:8.3f}  {target:8}{verdict}",
              flush=True)


def print_figures(bench, all_figures, names, stop):
    """The table; after a figure that could not be measured, stop() and the next one."""
    print(f"{'':52} {'topicfs':>14} {'beside':>14} {'ratio':>8}  target")
    for name in names:
        try:
            print_rows(all_figures[name](bench))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"{name}: not measured: {error}", flush=True)
            stop()


def parse_arguments(description, all_figures, more=None):
    """What both benchmarks take; the names of the figures wanted are in `names`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="the build directory; a release build for figures that count")
    parser.add_argument("--topicfs", type=pathlib.Path, help="the program, when not the build's")
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"),
                        help="where data goes: a real disk")
    parser.add_argument("--kafka", help="a script that starts and stops Apache Kafka")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1, help="0.2: a fifth of the work")
    parser.add_argument("--no-touch", action="store_true", help="memory was touched already")
    parser.add_argument("--only", help="of " + ",".join(all_figures))
    if more is not None:
        more(parser)
    arguments = parser.parse_args()
    arguments.names = arguments.only.split(",") if arguments.only else list(all_figures)
    for name in arguments.names:
        if name not in all_figures:
            parser.error(f"no figure {name}: {', '.join(all_figures)}")
    return arguments


def main():
    arguments = parse_arguments(__doc__, figures.FIGURES, lambda parser: parser.add_argument(
        "--threads", type=int, default=2, help="of both mounts"))
    bench = Bench(arguments)
    bench.folder.mkdir(parents=True)
    if not arguments.no_touch:
        touch_memory()

    def stop():
        bench.topicfs_port.stop()
        bench.bare_node.stop()
    try:
        print_figures(bench, figures.FIGURES, arguments.names, stop)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
