#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures three nodes of topicfs on this machine beside three of Apache Kafka, and a follower that
catches up beside a bare loop: a table of ratios, each with the one it should reach. See README.md."""

import json
import os
import pathlib
import subprocess
import time

import contenders
import figures
import run
from figures import compare, cpu_per_gib, interleave, latency, mib_rate

PARTITIONS = 3


class Bench:
    def __init__(self, arguments):
        self.build = arguments.build.resolve()
        self.folder = arguments.dir.resolve() / f"topicfs-bench-{os.getpid()}"
        self.rounds = arguments.rounds
        self.scale = arguments.scale
        self.run_id = os.getpid()
        self.topicfs = arguments.topicfs or self.build / "broker/daemon/topicfs"
        self.replicated = contenders.TopicfsCluster(self, "replicated")
        self.fsync = contenders.TopicfsCluster(self, "fsync")
        self.kafka = contenders.Kafka(self, arguments.kafka, 3) if arguments.kafka else None

    def program(self, name):
        return self.build / "tests/bench" / name

    def contenders(self):
        return [self.replicated, self.fsync] + ([self.kafka] if self.kafka else [])

    def stop_topicfs(self):
        self.replicated.stop()
        self.fsync.stop()


def produce(contender, topic, shape, scale):
    """As three producers that know the leaders: a connection a partition, acks=all."""
    return contender.drive("produce", "--topic", topic, "--partitions", PARTITIONS, "--connections",
                           PARTITIONS, "--leaders", "--in-flight", 5, "--acks", -1,
                           "--batch-bytes", shape["batch_bytes"], "--rate", shape["rate"],
                           "--requests", int(shape["requests"] * scale),
                           "--requests-before", int(shape["before"] * scale))


LARGE = {"name": "64k", "batch_bytes": 65536, "rate": 0, "requests": 16000, "before": 4000}
MIDDLE = {"name": "16k", "batch_bytes": 16384, "rate": 10, "requests": 6400, "before": 640}
SMALL = {"name": "1k", "batch_bytes": 1024, "rate": 1, "requests": 10240, "before": 1024}


def warm_load(kafka, topic):
    for batch, requests in ((65536, 3000), (1024, 6000)):
        produce(kafka, topic, {"batch_bytes": batch, "rate": 0, "requests": requests, "before": 0}, 1)


def produce_results(bench, shape):
    """For each contender its results; topicfs is alone with an empty directory each time."""
    def body(contender, number):
        topic = f"produce-{shape['name']}-{number}-{bench.run_id}"
        if contender is bench.kafka:
            contender.warm(warm_load)
        else:
            contender.clear()
            contender.start()
        contender.create(topic, PARTITIONS, 3, min_insync_replicas=2)
        result = produce(contender, topic, shape, bench.scale)
        if contender is not bench.kafka:
            contender.stop()
            contender.clear()
        return result
    return interleave(bench, bench.contenders(), body)


def rows_beside_kafka(bench, shape, wishes):
    """wishes: (figure, value, unit, target, at_most) for both durabilities. Without Kafka: beside
    each other."""
    results = produce_results(bench, shape)
    beside = results.get("kafka") or results[bench.fsync.name]
    rows = []
    for contender in (bench.replicated, bench.fsync):
        for figure, value, unit, target, at_most in wishes:
            rows.append(compare(f"{figure}, {contender.durability}", results[contender.name], beside,
                                value, unit, target if bench.kafka else None, at_most))
    return rows


def figure_large(bench):
    return rows_beside_kafka(bench, LARGE, (
        ("64 KiB batches, rate", mib_rate, "MiB/s", 2.5, False),
        ("64 KiB batches, CPU", cpu_per_gib, "s/GiB", 0.3, True),
        ("64 KiB batches, p99", latency("p99_ms"), "ms", None, True)))


def figure_middle(bench):
    return rows_beside_kafka(bench, MIDDLE, (
        ("16 KiB at 10 MiB/s, p99", latency("p99_ms"), "ms", 0.5, True),
        ("16 KiB at 10 MiB/s, p50", latency("p50_ms"), "ms", None, True),
        ("16 KiB at 10 MiB/s, CPU", cpu_per_gib, "s/GiB", None, True)))


def figure_small(bench):
    return rows_beside_kafka(bench, SMALL, (
        ("1 KiB a request at 1 MiB/s, CPU", cpu_per_gib, "s/GiB", 0.15, True),
        ("1 KiB a request at 1 MiB/s, p99", latency("p99_ms"), "ms", None, True),
        ("1 KiB a request at 1 MiB/s, p50", latency("p50_ms"), "ms", None, True)))


# ---- a follower catches up ----

def log_bytes(folder, topic):
    """Of partition 0's records on one node; its directory may not be there yet."""
    return sum(path.stat().st_size for path in folder.glob(f"{topic}-0/*.log"))


def bare_copy(bench, folder, topic):
    files = sorted(folder.glob(f"{topic}-0/*.log"))
    copy = bench.folder / "copy"
    result = subprocess.run(list(map(str, (bench.program("bare_copy"), *files, copy))),
                            capture_output=True, text=True, check=True)
    copy.unlink()
    return json.loads(result.stdout)


def catch_up(bench, size_bytes):
    """Stops a node that follows, writes without it, starts it again: from the first byte it gets to
    the last. Gives the way of the bare loop with the same file, too."""
    cluster = bench.replicated
    cluster.clear()
    cluster.start()
    topic = "catch-up"
    cluster.create(topic, 1, 3, min_insync_replicas=1)
    folders = {number: cluster.folder / str(number) for number in cluster.nodes}
    leader = leader_of(cluster, topic)
    late = next(number for number in cluster.nodes if number not in (0, leader))
    cluster.stop_node(late)
    batch = 65536
    cluster.drive("produce", "--topic", topic, "--partitions", 1, "--connections", 1, "--leaders",
                  "--in-flight", 5, "--acks", 1, "--batch-bytes", batch, "--requests",
                  size_bytes // batch)
    others = [number for number in folders if number != late]
    contenders.wait_for("the other follower", lambda: len(
        {log_bytes(folders[number], topic) for number in others}) == 1)
    wanted, had = log_bytes(folders[leader], topic), log_bytes(folders[late], topic)
    bare_copy(bench, folders[leader], topic)  # The first to touch the memory that it takes.
    bare = bare_copy(bench, folders[leader], topic)
    cluster.start_node(late)
    pid = cluster.nodes[late].pid
    contenders.wait_for("the first bytes", lambda: log_bytes(folders[late], topic) > had, 60, 0.001)
    begun, before, cpu = time.monotonic(), log_bytes(folders[late], topic), contenders.cpu_seconds(pid)
    contenders.wait_for("the last byte", lambda: log_bytes(folders[late], topic) >= wanted, 300, 0.002)
    ours = {"bytes": wanted - before, "seconds": time.monotonic() - begun,
            "cpu_seconds": contenders.cpu_seconds(pid) - cpu}
    cluster.stop()
    cluster.clear()
    return ours, bare


def leader_of(cluster, topic):
    """Which of the nodes leads its partition: by the port that a driver is sent to."""
    port = cluster.drive("leaders", "--topic", topic)["ports"][0]
    return cluster.PORTS.index(port)


def figure_catch_up(bench):
    ours, bare = zip(*(catch_up(bench, int((2 << 30) * bench.scale)) for _ in range(bench.rounds)))
    return [compare("a follower catches up, rate, bare loop", ours, bare, mib_rate, "MiB/s", 0.8,
                    False),
            compare("a follower catches up, its CPU, bare loop", ours, bare, cpu_per_gib, "s/GiB",
                    None, True)]


FIGURES = {"large": figure_large, "middle": figure_middle, "small": figure_small,
           "catch-up": figure_catch_up}


def main():
    arguments = run.parse_arguments(__doc__, FIGURES)
    bench = Bench(arguments)
    bench.folder.mkdir(parents=True)
    if not arguments.no_touch:
        run.touch_memory()
    try:
        run.print_figures(bench, FIGURES, arguments.names, bench.stop_topicfs)
    finally:
        run.close(bench, bench.contenders())


if __name__ == "__main__":
    main()
