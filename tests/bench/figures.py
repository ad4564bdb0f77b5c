# SPDX-License-Identifier: Apache-2.0
"""The figures: each runs its contenders in turn, several times, and gives rows of the table."""

import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import time

from contenders import cpu_seconds, memory_bytes, wait_for

GIB = 1 << 30


class Row:
    """One line of the table: ours, theirs, the ratio and what it should be."""

    def __init__(self, figure, ours, theirs, ratio, target, at_most):
        self.figure = figure
        self.ours = ours
        self.theirs = theirs
        self.ratio = ratio
        self.target = target
        self.at_most = at_most

    def reached(self):
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def median(results, value):
    return statistics.median(value(result) for result in results)


def rate(result):
    return result["requests"] / result["seconds"]


def mib_rate(result):
    return result["bytes"] / result["seconds"] / (1 << 20)


def cpu_per_gib(result):
    return result["cpu_seconds"] / (result["bytes"] / GIB)


def latency(name):
    return lambda result: result[name]


def compare(figure, ours, theirs, value, unit, target, at_most):
    """A row from the medians of one value of both."""
    our_value, their_value = median(ours, value), median(theirs, value)
    return Row(figure, f"{our_value:.4g} {unit}", f"{their_value:.4g} {unit}",
               our_value / their_value if their_value else 0, target, at_most)


def interleave(bench, contenders, body):
    """body(contender, round) for each contender in each round, in turn: lists by name."""
    results = {contender.name: [] for contender in contenders}
    for round_number in range(bench.rounds):
        # Who comes first changes, as the second one finds the machine as the first has left it.
        order = contenders if round_number % 2 == 0 else contenders[::-1]
        for contender in order:
            results[contender.name].append(body(contender, round_number))
    return results


def port_contenders(bench):
    return [bench.bare_node, bench.topicfs_port] + ([bench.kafka] if bench.kafka else [])


def start_port(bench, contender, topic, partitions, **configs):
    """A fresh topic on an empty node; Kafka stays as it is, warm."""
    if contender is bench.topicfs_port:
        contender.clear()
        contender.start()
    if contender is bench.kafka:
        bench.kafka_warm()
    contender.create(topic, partitions, **configs)


def stop_port(bench, contender):
    if contender is not bench.kafka:
        contender.stop()
        contender.clear()


def note_memory(bench, contender, result):
    result["memory_bytes"] = memory_bytes(contender.pid)
    return result


# ---- produce and fetch ----

def produce_load(bench, shape, contender, round_number):
    topic = f"produce-{shape['name']}-{round_number}-{bench.run_id}"
    start_port(bench, contender, topic, shape["partitions"])
    result = contender.drive("produce", "--topic", topic, "--partitions", shape["partitions"],
                             "--connections", shape["connections"], "--in-flight", 5,
                             "--batch-bytes", shape["batch_bytes"], "--rate", shape["rate"],
                             "--requests", int(shape["requests"] * bench.scale),
                             "--requests-before", int(shape["before"] * bench.scale))
    note_memory(bench, contender, result)
    if shape["fetch"]:
        result["fetch"] = contender.drive("fetch", "--topic", topic, "--connections", 2,
                                          "--partitions", shape["partitions"],
                                          "--requests", int(3000 * bench.scale),
                                          "--requests-before", 300)
    stop_port(bench, contender)
    return result


LARGE = {"name": "64k", "partitions": 2, "connections": 2, "batch_bytes": 65536, "rate": 0,
         "requests": 24000, "before": 6000, "fetch": True}
MIDDLE = {"name": "16k", "partitions": 1, "connections": 1, "batch_bytes": 16384, "rate": 20,
          "requests": 12800, "before": 1280, "fetch": False}
SMALL = {"name": "1k", "partitions": 1, "connections": 1, "batch_bytes": 1024, "rate": 2,
         "requests": 20480, "before": 2048, "fetch": False}


def produce_rows(bench, shape):
    results = interleave(bench, port_contenders(bench),
                         lambda contender, number: produce_load(bench, shape, contender, number))
    ours, bare, kafka = results["topicfs"], results["bare_node"], results.get("kafka")
    return ours, bare, kafka


def figure_large(bench):
    ours, bare, kafka = produce_rows(bench, LARGE)
    rows = [compare("produce 64 KiB batches, rate", ours, bare, mib_rate, "MiB/s", 0.70, False),
            compare("produce 64 KiB batches, CPU", ours, bare, cpu_per_gib, "s/GiB", 1.5, True)]
    our_fetch, bare_fetch = [r["fetch"] for r in ours], [r["fetch"] for r in bare]
    rows += [compare("fetch, rate", our_fetch, bare_fetch, mib_rate, "MiB/s", 0.80, False),
             compare("fetch, CPU", our_fetch, bare_fetch, cpu_per_gib, "s/GiB", 1.4, True)]
    if kafka:
        rows += [compare("produce 64 KiB batches, CPU, Kafka", ours, kafka, cpu_per_gib, "s/GiB",
                         0.45, True),
                 compare("produce 64 KiB batches, p99, Kafka", ours, kafka, latency("p99_ms"), "ms",
                         0.5, True),
                 compare("memory after load, Kafka", ours, kafka,
                         lambda r: r["memory_bytes"] / (1 << 20), "MiB", 0.05, True)]
    return rows


def figure_middle(bench):
    ours, bare, kafka = produce_rows(bench, MIDDLE)
    rows = [compare("produce 16 KiB at 20 MiB/s, CPU", ours, bare, cpu_per_gib, "s/GiB", None, True),
            compare("produce 16 KiB at 20 MiB/s, p99", ours, bare, latency("p99_ms"), "ms", None,
                    True)]
    if kafka:
        rows += [compare("produce 16 KiB at 20 MiB/s, CPU, Kafka", ours, kafka, cpu_per_gib, "s/GiB",
                         0.2, True),
                 compare("produce 16 KiB at 20 MiB/s, p99, Kafka", ours, kafka, latency("p99_ms"),
                         "ms", 0.5, True)]
    return rows


def figure_small(bench):
    ours, bare, kafka = produce_rows(bench, SMALL)
    rows = [compare("produce 1 KiB at 2 MiB/s, CPU", ours, bare, cpu_per_gib, "s/GiB", 2.5, True),
            compare("produce 1 KiB at 2 MiB/s, p99", ours, bare, latency("p99_ms"), "ms", None,
                    True)]
    if kafka:
        rows += [compare("produce 1 KiB at 2 MiB/s, CPU, Kafka", ours, kafka, cpu_per_gib, "s/GiB",
                         0.15, True),
                 compare("produce 1 KiB at 2 MiB/s, p99, Kafka", ours, kafka, latency("p99_ms"), "ms",
                         0.5, True)]
    return rows


# ---- the mount ----

def drive_file(bench, *arguments):
    words = [str(bench.program("drive_file")), *map(str, arguments)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def time_reader(words, size):
    """A program that reads a whole file and throws it away."""
    before = time.monotonic()
    subprocess.run(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True)
    return {"bytes": size, "seconds": time.monotonic() - before}


def fill(bench, topic, record_bytes):
    """About 512 MiB of records in a topic of topicfs."""
    bench.topicfs_mount.create(topic)
    batch = 65536
    bench.topicfs_mount.drive("produce", "--topic", topic, "--connections", 1, "--in-flight", 5,
                              "--record-bytes", record_bytes, "--batch-bytes", batch,
                              "--requests", int((512 << 20) * bench.scale / batch))


def figure_mount(bench):
    ours, bare = bench.topicfs_mount, bench.bare_mount
    ours.clear()
    ours.start(mount=True, extra=(f"topicfs.mount.threads={bare.threads}",))
    bare.start(size_mib=int(512 * bench.scale))
    try:
        ours.create("t")
        fill(bench, "large", 1024)
        fill(bench, "small", 100)
        # The bare loop has one file of one size; ours are opened by their own names.
        files = {ours.name: {"append": ours.file(), "large": ours.file("large"),
                             "small": ours.file("small")},
                 bare.name: dict.fromkeys(("append", "large", "small"), bare.file())}

        def body(contender, _round_number):
            mine = files[contender.name]
            large, small = mine["large"].stat().st_size, mine["small"].stat().st_size
            return {
                "append": drive_file(bench, "append", mine["append"], int(100000 * bench.scale)),
                "reopen": drive_file(bench, "reopen", mine["append"], int(20000 * bench.scale)),
                "dd": time_reader(("dd", f"if={mine['large']}", "of=/dev/null", "bs=1M"), large),
                "cat": time_reader(("cat", mine["small"]), small),
            }

        results = interleave(bench, [bare, ours], body)
    finally:
        bare.stop()
        ours.stop()
        ours.clear()

    def row(figure, name, value, unit, target):
        return compare(figure, [r[name] for r in results[ours.name]],
                       [r[name] for r in results[bare.name]], value, unit, target, False)
    return [row("write(2) of 100-byte lines, one open file", "append", rate, "/s", 0.70),
            row("open, write, close", "reopen", rate, "/s", 0.60),
            row("dd bs=1M of 1 KiB records", "dd", mib_rate, "MiB/s", 0.40),
            row("cat of 100-byte records", "cat", mib_rate, "MiB/s", 0.15)]


# ---- stable storage ----

def disk_flushes(folder):
    """Flushes that the disk below a folder has completed (/proc/diskstats, field 16)."""
    device = folder.stat().st_dev
    for line in pathlib.Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if (int(fields[0]), int(fields[1])) == (device >> 8 & 0xfff, device & 0xff) and \
                len(fields) > 18:
            return int(fields[18])
    return None


class SyncCalls:
    """Counts the sync calls of one process with perf, where there is one."""

    def __init__(self, pid, path):
        self.path = path
        self.process = None
        if shutil.which("perf"):
            self.process = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", "syscalls:sys_enter_fdatasync",
                 "-e", "syscalls:sys_enter_fsync", "-e", "syscalls:sys_enter_syncfs", "-p", str(pid), "-o", str(path)])
            wait_for("perf", lambda: path.exists() or self.process.poll() is not None)

    def stop(self):
        """None when they could not be counted."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        counts = [line.split(",")[0] for line in self.path.read_text().splitlines()
                  if "sys_enter_" in line]
        self.path.unlink()
        return sum(map(int, counts)) if counts and all(map(str.isdigit, counts)) else None


def sync_load(bench, contender, partitions, connections, requests, round_number):
    topic = f"sync-{partitions}-{connections}-{round_number}-{bench.run_id}"
    if contender is bench.topicfs_port:
        contender.clear()
        contender.start(durability="fsync")
    else:
        bench.kafka_warm()
    contender.create(topic, partitions, **({} if contender is bench.topicfs_port
                                           else {"flush_messages": 1}))
    before = disk_flushes(contender.folder)
    calls = SyncCalls(contender.pid, bench.folder / "perf.out")
    result = contender.drive("produce", "--topic", topic, "--partitions", partitions,
                             "--connections", connections, "--in-flight", 1, "--acks", "-1",
                             "--batch-bytes", 1024, "--requests", requests)
    # The whole disk's flushes are others' too, and several calls share one: the fewer are ours.
    counts = [calls.stop(), None if before is None else disk_flushes(contender.folder) - before]
    result["flushes"] = min((count for count in counts if count is not None), default=None)
    stop_port(bench, contender)
    return result


def figure_sync(bench):
    contenders = [bench.topicfs_port] + ([bench.kafka] if bench.kafka else [])
    rows = []
    for partitions in (1, 8):
        results = interleave(bench, contenders, lambda contender, number: sync_load(
            bench, contender, partitions, 64, int(40000 * bench.scale), number))
        ours, kafka = results["topicfs"], results.get("kafka")
        what = f"64 producers, {partitions} partition{'s' if partitions > 1 else ''}, fsync"
        if all(result.get("flushes") for result in ours):
            per_flush = median(ours, lambda r: r["requests"] / r["flushes"])
            rows.append(Row(f"{what}, requests per disk flush", f"{per_flush:.4g}", "1", per_flush,
                            20, False))
        if kafka:
            rows.append(compare(f"{what}, rate, Kafka", ours, kafka, rate, "/s", 4, False))
    ours, bare = [], []
    count = int(4000 * bench.scale)
    for number in range(bench.rounds):
        path = bench.folder / "bare_sync.file"
        bare.append(json.loads(subprocess.run(
            [str(bench.program("bare_sync")), str(path), "1100", str(count)], capture_output=True,
            text=True, check=True).stdout))
        path.unlink()
        ours.append(sync_load(bench, bench.topicfs_port, 1, 1, count, number))
    rows.append(compare("one producer, fsync, p50, write + fdatasync", ours, bare, latency("p50_ms"),
                        "ms", 1.5, True))
    return rows


# ---- an idle node, and its start ----

def wait_idle(seconds):
    """Nothing is waited for but time itself: the figure is what the node does in it."""
    time.sleep(seconds)


def figure_idle(bench):
    """With its mount, and nothing in it."""
    node = bench.topicfs_mount
    node.clear()
    node.start(mount=True)
    try:
        wait_idle(2)
        before = cpu_seconds(node.pid)
        seconds = max(5, 20 * bench.scale)
        wait_idle(seconds)
        percent = (cpu_seconds(node.pid) - before) / seconds * 100
        memory = memory_bytes(node.pid) / (1 << 20)
    finally:
        node.stop()
        node.clear()
    return [Row("idle memory", f"{memory:.3g} MiB", "16 MiB", memory / 16, 1, True),
            Row("idle CPU of a core", f"{percent:.3g} %", "0.2 %", percent / 0.2, 1, True)]


def figure_start(bench):
    node = bench.topicfs_mount
    empty, full = [], []
    for _ in range(bench.rounds):
        node.clear()
        empty.append(node.time_daemon())
        node.stop_daemon()
    node.clear()
    node.start()
    topics, partitions = 10, 1000
    for number in range(topics):
        node.create(f"many-{number}", partitions)
        node.drive("produce", "--topic", f"many-{number}", "--partitions", partitions, "--requests",
                   partitions, "--batch-bytes", 100, "--record-bytes", 100, "--in-flight", 5)
    node.stop()
    for _ in range(bench.rounds):
        full.append(node.time_daemon())
        memory = memory_bytes(node.pid) / (1 << 20)
        before = cpu_seconds(node.pid)
        wait_idle(5)
        percent = (cpu_seconds(node.pid) - before) / 5 * 100
        node.stop_daemon()
    node.clear()
    empty_s, full_s = statistics.median(empty), statistics.median(full)
    return [Row("start, empty", f"{empty_s * 1000:.4g} ms", "100 ms", empty_s / 0.1, 1, True),
            Row(f"start, {topics * partitions} partitions", f"{full_s * 1000:.4g} ms", "1000 ms",
                full_s, 1, True),
            Row(f"idle memory, {topics * partitions} partitions", f"{memory:.3g} MiB",
                f"{topics * partitions * 8 / 1024:.3g} MiB",
                memory / (topics * partitions * 8 / 1024), 1, True),
            Row(f"idle CPU, {topics * partitions} partitions", f"{percent:.3g} %", "0.2 %",
                percent / 0.2, None, True)]


FIGURES = {"large": figure_large, "middle": figure_middle, "small": figure_small,
           "mount": figure_mount, "sync": figure_sync, "idle": figure_idle, "start": figure_start}
