#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures a cluster of three on this machine: how long writes stop when a leader is killed or moves, what many
partitions cost at rest, and how fast they fail over. Says nothing about passing: see README.md."""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import time

import three_nodes
from three_nodes import Cluster, FileWriter, PortWriter, Probe, Watched, kafka, wait_pause
from contenders import cpu_seconds, memory_bytes, wait_for

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# What "tuned" is: a failed node is noticed sooner, at the price of taking a pause of half a second for a failure.
TUNED = ("broker.session.timeout.ms=500", "broker.heartbeat.interval.ms=100",
         "controller.quorum.election.timeout.ms=200", "replica.fetch.wait.max.ms=200")
TOPIC = "failover"
SETTLE_S = 0.5


class Bench:
    def __init__(self, arguments):
        self.program = arguments.topicfs or arguments.build / "broker/daemon/topicfs"
        self.build = arguments.build.resolve()
        self.folder = arguments.dir.resolve() / f"topicfs-failover-{os.getpid()}"
        self.rounds = arguments.rounds
        self.partitions = arguments.partitions
        self.topics = arguments.topics
        self.idle_partitions = arguments.idle_partitions
        self.idle_seconds = arguments.idle_seconds
        self.mounts = not arguments.no_mount
        self.trace_ms = arguments.trace_ms
        self.wait_s = arguments.wait
        self.cluster = None

    def open(self, settings=(), mounts=None, watched=False):
        self.close()
        self.cluster = Cluster(self.program, self.folder, settings, self.mounts if mounts is None else mounts)
        self.cluster.start(self.watch if watched else None)
        return self.cluster

    def watch(self, node):
        """The environment of a node whose mutexes are watched: see hold_watch.c."""
        environment = {"LD_PRELOAD": str(self.build / "tests/bench/libhold_watch.so"),
                       "HOLD_WATCH": str(node.folder / "holds")}
        if self.trace_ms:
            environment["HOLD_WATCH_TRACE_MS"] = str(self.trace_ms)
        return environment

    def close(self):
        if self.cluster is None:
            return
        self.cluster.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.cluster = None


def say(figure, value, limit="", note=""):
    print(f"{figure:66} {value:>16}  {limit:10} {note}", flush=True)


def say_times(figure, times_ms, limit):
    times = sorted(times_ms)
    say(figure, f"{statistics.median(times):.0f} ms", limit,
        f"of {len(times)}: {times[0]:.0f} to {times[-1]:.0f}")


# ---- the mutexes of a node, see hold_watch.c ----

ROW = struct.Struct("=5Q")


def longest_hold_ms(node):
    """Since it was asked last."""
    path = node.folder / "holds"
    longest = 0
    with open(path, "r+b") as file:
        data = file.read()
        for at in range(0, len(data), ROW.size):
            mutex, held_ns, _, _, _ = ROW.unpack_from(data, at)
            if mutex and held_ns:
                longest = max(longest, held_ns)
                file.seek(at + 8)
                file.write(bytes(8))
                file.flush()
    return longest / 1e6


# ---- writers beside whatever happens ----

class Scene:
    """A topic whose partitions are led by each node in turn, and writers to one of them."""

    def __init__(self, bench, cluster):
        self.bench = bench
        self.cluster = cluster
        cluster.create(TOPIC, 6)
        cluster.wait_in_sync([TOPIC])

    def partition_led_by(self, number):
        partitions = self.cluster.metadata([TOPIC])[2][TOPIC]
        return next(index for index, (leader, _, _) in sorted(partitions.items()) if leader == number)

    def writers(self, partition, through):
        """A producer and, with mounts, a file on a node that does not lead it."""
        writers = {"producer": PortWriter(self.cluster, TOPIC, partition)}
        if self.cluster.mounts:
            path = self.cluster.nodes[through].mount / TOPIC / str(partition)
            wait_for(f"{path}", path.exists, 30, 0.05)
            writers["file"] = FileWriter(path)
        for writer in writers.values():
            writer.start()
        for writer in writers.values():
            writer.wait_more(100)
        return writers

    def gaps(self, partition, through, happen):
        """What the writers felt of happen(), which begins now; ms by writer."""
        writers = self.writers(partition, through)
        wait_pause(SETTLE_S)
        since = time.monotonic()
        happen()
        for writer in writers.values():
            writer.wait_more(100)
        wait_pause(SETTLE_S)
        until = time.monotonic()
        for writer in writers.values():
            writer.wait_more(10)
            writer.end()
        return {name: writer.gap_ms(since, until) for name, writer in writers.items()}

    def well_again(self, number):
        """The node is started again, everything is in sync and where it was."""
        node = self.cluster.nodes[number]
        if node.process is None:
            node.start()
        wait_for(f"node {number}", lambda: self.cluster.serves(node), 60, 0.05)
        self.cluster.wait_in_sync([TOPIC])

    def led_as_preferred(self):
        partitions = self.cluster.metadata([TOPIC])[2][TOPIC]
        for index, (leader, replicas, _) in partitions.items():
            if leader != replicas[0]:
                self.cluster.elect_preferred(TOPIC, index)

    def victim(self, is_controller):
        controller = self.cluster.controller()
        return controller if is_controller else next(n for n in self.cluster.nodes if n != controller)


def through_of(scene, victim):
    """A node that neither dies nor leads what is written."""
    return next(number for number in scene.cluster.nodes if number != victim)


def kill_rounds(scene, is_controller):
    results = {}
    for _ in range(scene.bench.rounds):
        scene.led_as_preferred()
        victim = scene.victim(is_controller)
        partition = scene.partition_led_by(victim)
        node = scene.cluster.nodes[victim]

        def happen(node=node):
            node.kill()
            node.reap()
        for name, gap in scene.gaps(partition, through_of(scene, victim), happen).items():
            results.setdefault(name, []).append(gap)
        scene.well_again(victim)
    return results


def stop_rounds(scene, is_controller):
    """SIGTERM; the node is gone when the writers are asked."""
    results = {}
    for _ in range(scene.bench.rounds):
        scene.led_as_preferred()
        victim = scene.victim(is_controller)
        partition = scene.partition_led_by(victim)
        node = scene.cluster.nodes[victim]

        def happen(node=node):
            node.kill(signal.SIGTERM)
            node.reap()
        for name, gap in scene.gaps(partition, through_of(scene, victim), happen).items():
            results.setdefault(name, []).append(gap)
        scene.well_again(victim)
    return results


def elect_rounds(scene):
    """After a stop the leader is not the preferred one; ElectLeaders brings it back under the writers."""
    results = {}
    for number in range(scene.bench.rounds):
        scene.led_as_preferred()
        victim = scene.victim(False)
        partition = scene.partition_led_by(victim)
        node = scene.cluster.nodes[victim]
        node.kill(signal.SIGTERM)
        node.reap()
        scene.well_again(victim)
        leader = scene.cluster.metadata([TOPIC])[2][TOPIC][partition][0]
        # Through the node that gives the leadership away, and through one that has no part in it.
        through = leader if number % 2 else next(n for n in scene.cluster.nodes if n not in (leader, victim))
        for name, gap in scene.gaps(partition, through,
                                    lambda p=partition: scene.cluster.elect_preferred(TOPIC, p)).items():
            results.setdefault(name, []).append(gap)
    return results


def drain_rounds(scene):
    results = {}
    for _ in range(scene.bench.rounds):
        scene.led_as_preferred()
        victim = scene.victim(False)
        partition = scene.partition_led_by(victim)
        control = scene.cluster.nodes[through_of(scene, victim)].mount / ".brokers" / str(victim) / ".ctl"

        def happen(control=control):
            control.write_text("drain\n")
        for name, gap in scene.gaps(partition, through_of(scene, victim), happen).items():
            results.setdefault(name, []).append(gap)
        control.write_text("undrain\n")
    return results


def say_gaps(what, results, limit):
    for name, times in results.items():
        say_times(f"{what}, {name}", times, limit)


def figure_kill(bench):
    scene = Scene(bench, bench.open())
    say_gaps("kill -9 of a leader", kill_rounds(scene, False), "<= 3000")
    say_gaps("kill -9 of a leader that is the controller", kill_rounds(scene, True), "<= 3000")


def figure_tuned(bench):
    scene = Scene(bench, bench.open(TUNED))
    say_gaps("tuned: kill -9 of a leader", kill_rounds(scene, False), "<= 1000")
    say_gaps("tuned: kill -9 of a leader that is the controller", kill_rounds(scene, True), "<= 1000")


def figure_move(bench):
    scene = Scene(bench, bench.open())
    say_gaps("a leader moved by ElectLeaders", elect_rounds(scene), "<= 50")
    say_gaps("a leader stopped with SIGTERM", stop_rounds(scene, False), "<= 50")
    say_gaps("a leader and controller stopped with SIGTERM", stop_rounds(scene, True), "<= 50")
    if bench.cluster.mounts:
        say_gaps("a leader that is drained", drain_rounds(scene), "<= 50")


# ---- many partitions ----

def make_topics(bench, count, topics):
    """`count` partitions over so many topics, all in sync."""
    names = [f"many-{number}" for number in range(topics)]
    before = time.monotonic()
    for name in names:
        bench.cluster.create(name, count // topics)
    made = time.monotonic()
    bench.cluster.wait_in_sync(names, 300)
    say(f"{count} partitions x 3 in {topics} topics: created", f"{made - before:.2f} s")
    say("... until all are in sync", f"{time.monotonic() - made:.2f} s")
    return names


class LeaderWriter(Watched):
    """Gives one record to every partition that one node leads, many in a request, until told to end."""

    def __init__(self, bench, node, missing, taken):
        super().__init__()
        self.bench = bench
        self.node = node
        self.missing = missing
        self.taken = taken
        self.batch = kafka.batch((b"one",))

    def led(self, connection):
        """[(topic, partition)] that still wait and are led here."""
        topics = [name for name, waiting in self.missing.items() if waiting]
        known = three_nodes.metadata(connection, topics)[2]
        return [(name, index) for name in topics for index in list(self.missing[name])
                if known[name].get(index, (-1,))[0] == self.node.number]

    def work(self):
        with self.node.connect(120) as connection:
            while not self.ending and any(self.missing.values()):
                waiting = self.led(connection)
                for at in range(0, len(waiting), PARTITIONS_A_REQUEST):
                    self.give(connection, waiting[at:at + PARTITIONS_A_REQUEST])
                wait_pause(0.005)

    def give(self, connection, places):
        topics = {}
        for name, index in places:
            topics.setdefault(name, []).append((index, self.batch))
        for (name, index), error in three_nodes.produce_many(connection, topics).items():
            if error == 0:
                self.missing[name].discard(index)
                self.taken[(name, index)] = time.monotonic()


def write_all(bench, names, deadline_s=300):
    """One record to every partition through its leader, as soon as it takes one: seconds by (topic, partition)."""
    began = time.monotonic()
    missing = {name: set(bench.cluster.metadata([name])[2][name]) for name in names}
    taken = {}
    writers = [LeaderWriter(bench, node, missing, taken) for node in bench.cluster.living()]
    for writer in writers:
        writer.start()
    try:
        wait_for("every partition to take a record",
                 lambda: not any(missing.values()) or any(writer.count() < 0 for writer in writers), deadline_s)
    except RuntimeError as error:
        raise RuntimeError(f"{error}: {sum(map(len, missing.values()))} did not") from error
    finally:
        for writer in writers:
            writer.end()
    return {key: at - began for key, at in taken.items()}


PARTITIONS_A_REQUEST = 1000


def say_rest(bench, what):
    """CPU and memory of each node while nobody asks anything."""
    nodes = bench.cluster.living()
    wait_pause(3)
    before = {node.number: cpu_seconds(node.pid) for node in nodes}
    began = time.monotonic()
    wait_pause(bench.idle_seconds)
    seconds = time.monotonic() - began
    for node in nodes:
        share = 100 * (cpu_seconds(node.pid) - before[node.number]) / seconds
        say(f"{what}: node {node.number}, CPU of a core", f"{share:.2f} %", "<= 1")
        say(f"{what}: node {node.number}, memory", f"{memory_bytes(node.pid) / (1 << 20):.1f} MiB", "<= 32")


def figure_idle(bench):
    bench.open()
    say_rest(bench, "no topic")
    names = make_topics(bench, bench.idle_partitions, min(10, bench.topics))
    say_rest(bench, f"{bench.idle_partitions} partitions, empty")
    write_all(bench, names)
    say_rest(bench, f"{bench.idle_partitions} partitions, written once")


def figure_many(bench):
    bench.open(watched=True)
    names = make_topics(bench, bench.partitions, bench.topics)
    say_holds(bench, "longest hold of the monitor until then")
    for what in ("empty", "written"):
        bench.cluster.elect_preferred_all()
        many_kill(bench, names, what)
    say_rest(bench, f"{bench.partitions} partitions, written")


def say_holds(bench, what):
    for node in bench.cluster.living():
        say(f"{what}, node {node.number}", f"{longest_hold_ms(node):.0f} ms")


def many_kill(bench, names, what):
    cluster = bench.cluster
    for node in cluster.living():
        longest_hold_ms(node)
    victim = next(number for number in cluster.nodes if number != cluster.controller())
    probes = [Probe(node) for node in cluster.living() if node.number != victim]
    for probe in probes:
        probe.start()
        probe.wait_more(20)
    led = sum(leader == victim for name in names for leader, _, _ in cluster.metadata([name])[2][name].values())
    began = time.monotonic()
    cluster.nodes[victim].kill()
    cluster.nodes[victim].reap()
    offset = time.monotonic() - began
    wait_for("leaders", lambda: all(leader not in (-1, victim) for name in names for leader, _, _ in
                                    cluster.metadata([name])[2][name].values()), bench.wait_s, 0.01)
    elected = time.monotonic() - began
    times = sorted(write_all(bench, names, bench.wait_s).values())
    say(f"{what}: leaders of {led} partitions elected", f"{elected:.2f} s", "<= 5")
    say(f"{what}: half, all of {len(times)} partitions written after the kill",
        f"{elected + times[len(times) // 2]:.2f}, {elected + times[-1]:.2f} s", "<= 5", f"reaped in {offset:.2f}")
    for probe in probes:
        probe.end()
        say(f"{what}: longest answer meanwhile, node {probe.node.number}", f"{probe.longest_ms:.0f} ms")
    say_holds(bench, f"{what}: longest hold of the monitor meanwhile")
    began = time.monotonic()
    cluster.nodes[victim].start(environment=bench.watch(cluster.nodes[victim]))
    wait_for("the node", lambda: cluster.serves(cluster.nodes[victim]), 120, 0.05)
    back = time.monotonic() - began
    cluster.wait_in_sync(names, 600)
    say(f"{what}: the node is back, everything in sync", f"{back:.2f}, {time.monotonic() - began:.2f} s")
    say_holds(bench, f"{what}: longest hold of the monitor meanwhile")


FIGURES = {"kill": figure_kill, "tuned": figure_tuned, "move": figure_move, "idle": figure_idle, "many": figure_many}


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="tuned means: " + " ".join(TUNED))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build",
                        help="the build directory; a release build for figures that count")
    parser.add_argument("--topicfs", type=pathlib.Path, help="the program, when not the build's")
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="where data goes: a real disk")
    parser.add_argument("--rounds", type=int, default=5, help="kills, stops and moves of each kind")
    parser.add_argument("--partitions", type=int, default=10000)
    parser.add_argument("--topics", type=int, default=100, help="over which they are spread")
    parser.add_argument("--idle-partitions", type=int, default=1000)
    parser.add_argument("--idle-seconds", type=int, default=30)
    parser.add_argument("--wait", type=int, default=120, help="seconds until a failover of many is given up")
    parser.add_argument("--trace-ms", type=int, default=0, help="stacks of who holds a mutex for longer, in N/log")
    parser.add_argument("--no-mount", action="store_true", help="by port only")
    parser.add_argument("--keep", action="store_true", help="leaves the nodes' directories")
    parser.add_argument("--only", help="of " + ",".join(FIGURES))
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(FIGURES)
    for name in names:
        if name not in FIGURES:
            parser.error(f"no figure {name}: {', '.join(FIGURES)}")
    bench = Bench(arguments)
    try:
        for name in names:
            try:
                FIGURES[name](bench)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                print(f"{name}: not measured: {error}", flush=True)
                if arguments.keep:
                    sys.exit(f"kept: {bench.folder}")
            if not arguments.keep or name != names[-1]:
                bench.close()
    finally:
        if arguments.keep and bench.cluster is not None:
            bench.cluster.stop()
        else:
            bench.close()


if __name__ == "__main__":
    main()
