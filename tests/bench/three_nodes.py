# SPDX-License-Identifier: Apache-2.0
"""A cluster of three nodes on this machine, and what watches it: a producer, a file writer, a probe.
Each notes when something was acknowledged, so that the gaps can be told afterwards."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

from contenders import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "hostile"))
sys.dont_write_bytecode = True
import kafka  # noqa: E402  (the protocol by hand, from the hostile clients)

ELECT_LEADERS = 43
NOT_LEADER, NOT_KNOWN, DUPLICATE = 6, 3, 46
FIRST_PORT = 19310
MOVED_PAUSE_S = 0.002  # Before the next node is asked who leads.


def wait_pause(seconds):
    """Between two questions or two writes, or while something is measured."""
    time.sleep(seconds)


class Node:
    def __init__(self, cluster, number):
        self.cluster = cluster
        self.number = number
        self.port = FIRST_PORT + number
        self.folder = cluster.folder / str(number)
        self.mount = self.folder / "mount"
        self.process = None

    def start(self, extra=(), environment=None):
        self.mount.mkdir(parents=True, exist_ok=True)
        settings = [f"topicfs.nodes={self.cluster.addresses}", f"listeners=PLAINTEXT://127.0.0.1:{self.port}",
                    f"topicfs.token.file={self.cluster.folder}/token", f"log.dirs={self.folder}/data",
                    f"node.id={self.number}", "auto.leader.rebalance.enable=false", *self.cluster.settings, *extra]
        words = [str(self.cluster.program), "-f"]
        for setting in settings:
            words += ["--override", setting]
        words += [str(self.mount)] if self.cluster.mounts else ["--no-mount"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)

    def reap(self):
        """After a kill or a stop: the process is gone, and so is a mount it left behind."""
        self.process.wait(120)
        self.process = None
        if self.cluster.mounts:
            subprocess.run(["umount", "-l", str(self.mount)], check=False, stderr=subprocess.DEVNULL)

    def alive(self):
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"node {self.number} ended: see {self.folder}/log")
        return True

    def connect(self, timeout=10):
        connection = kafka.Connection(self.port, timeout=timeout)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class Cluster:
    """Nodes 1 to 3. `settings` are those of every node."""

    def __init__(self, program, folder, settings=(), mounts=True):
        self.program = program
        self.folder = folder
        self.settings = list(settings)
        self.mounts = mounts
        self.nodes = {number: Node(self, number) for number in (1, 2, 3)}
        self.addresses = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes.values())

    def start(self, environment=None):
        self.folder.mkdir(parents=True)
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(os.urandom(24).hex() + "\n")
        for node in self.nodes.values():
            node.folder.mkdir()
            node.start(environment=environment and environment(node))
        self.wait_serving()

    def wait_serving(self):
        wait_for("three nodes to serve", lambda: all(self.serves(node) for node in self.nodes.values()), pause_s=0.05)

    def serves(self, node):
        node.alive()
        try:
            brokers = self.metadata([], node)[0]
        except (OSError, EOFError, kafka.Closed):
            return False
        return len(brokers) == 3 and (not self.mounts or os.path.ismount(node.mount))

    def stop(self):
        for node in self.nodes.values():
            if node.process is not None:
                node.kill()
                node.reap()

    def living(self):
        return [node for node in self.nodes.values() if node.process is not None and node.process.poll() is None]

    def metadata(self, topics, node=None):
        """(nodes, controller, {topic: {partition: (leader, replicas, isr)}}); topics None: all."""
        with (node or self.living()[0]).connect() as connection:
            return metadata(connection, topics)

    def create(self, topic, partitions, factor=3, **configs):
        pairs = [kafka.string(key.replace("_", ".")) + kafka.string(str(value)) for key, value in configs.items()]
        body = kafka.array([kafka.string(topic) + kafka.int32(partitions) + kafka.int16(factor) + kafka.array([]) +
                            kafka.array(pairs)]) + kafka.int32(60000) + kafka.int8(0)
        with self.living()[0].connect(90) as connection:
            reader = connection.ask(kafka.CREATE_TOPICS, 4, body)
        reader.int32(), reader.int32(), reader.string()
        error, said = reader.int16(), reader.string()
        if error:
            raise RuntimeError(f"create {topic}: error {error}: {said}")

    def in_sync(self, topic, factor=3):
        partitions = self.metadata([topic])[2][topic]
        return bool(partitions) and all(len(isr) == factor and leader >= 0 for leader, _, isr in partitions.values())

    def wait_in_sync(self, topics, deadline_s=120):
        for topic in topics:
            wait_for(f"the replicas of {topic}", lambda name=topic: self.in_sync(name), deadline_s, 0.05)

    def elect_preferred(self, topic, partition):
        body = kafka.int8(0) + kafka.array([kafka.string(topic) + kafka.array([kafka.int32(partition)])]) + \
            kafka.int32(30000)
        with self.living()[0].connect(60) as connection:
            connection.ask(ELECT_LEADERS, 1, body)

    def elect_preferred_all(self):
        with self.living()[0].connect(60) as connection:
            connection.ask(ELECT_LEADERS, 1, kafka.int8(0) + kafka.array(None) + kafka.int32(30000))

    def controller(self):
        wait_for("a controller", lambda: self.metadata([])[1] in self.nodes)
        return self.metadata([])[1]


def metadata(connection, topics):
    body = kafka.array(None if topics is None else [kafka.string(name) for name in topics]) + kafka.int8(0)
    reader = connection.ask(kafka.METADATA, 4, body)
    reader.int32()
    brokers = reader.items(lambda node: (node.int32(), node.string(), node.int32(), node.string()))
    reader.string()
    controller = reader.int32()

    def read_partition(at):
        at.int16()
        index, leader = at.int32(), at.int32()
        replicas = at.items(lambda r: r.int32())
        return index, (leader, replicas, at.items(lambda r: r.int32()))

    def read_topic(at):
        at.int16()
        name = at.string()
        at.int8()
        return name, dict(at.items(read_partition))
    return brokers, controller, dict(reader.items(read_topic))


def produce_body(topics, acks, timeout_ms=30000):
    """topics: {name: [(partition, batch)]}. Version 7."""
    body = [kafka.string(None), kafka.int16(acks), kafka.int32(timeout_ms), kafka.int32(len(topics))]
    for name, entries in topics.items():
        body += [kafka.string(name), kafka.int32(len(entries))]
        body += [kafka.int32(index) + kafka.blob(records) for index, records in entries]
    return b"".join(body)


def produce_many(connection, topics, acks=-1):
    """{(topic, partition): error}."""
    reader = connection.ask(kafka.PRODUCE, 7, produce_body(topics, acks))
    errors = {}
    for _ in range(reader.int32()):
        name = reader.string()
        for _ in range(reader.int32()):
            index, errors_code = reader.int32(), reader.int16()
            reader.take(24)
            errors[(name, index)] = errors_code
    return errors


def produce(connection, topic, entries, acks=-1):
    """{partition: error}."""
    return {index: error for (_, index), error in produce_many(connection, {topic: entries}, acks).items()}


class Watched(threading.Thread):
    """Something that is done again and again; notes when it was done last and how long it took."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done_at = []
        self.ending = False
        self.failure = None

    def run(self):
        try:
            self.work()
        except Exception as error:  # pylint: disable=broad-except  (told by end())
            self.failure = error

    def end(self):
        self.ending = True
        self.join(60)
        if self.failure is not None:
            raise RuntimeError(f"{type(self).__name__}: {self.failure}")

    def count(self):
        if self.failure is not None:
            raise RuntimeError(f"{type(self).__name__}: {self.failure}")
        return len(self.done_at)

    def wait_more(self, count, deadline_s=60):
        wanted = self.count() + count
        wait_for(f"{count} more of {type(self).__name__}", lambda: self.count() >= wanted, deadline_s, 0.002)

    def gap_ms(self, since, until):
        """The longest time without an acknowledgement that began or ended between the two."""
        times = list(self.done_at)
        return 1000 * max((b - a for a, b in zip(times, times[1:]) if b >= since and a <= until), default=0)


class PortWriter(Watched):
    """An idempotent producer with acks=all, one record in flight; asks who leads as soon as it is refused."""

    def __init__(self, cluster, topic, partition, pause_s=0.001):
        super().__init__()
        self.cluster = cluster
        self.topic = topic
        self.partition = partition
        self.pause_s = pause_s
        self.connections = {}

    def forget(self, number):
        connection = self.connections.pop(number, None)
        if connection is not None:
            connection.socket.close()

    def ask(self, number, question):
        """None where the node does not answer."""
        try:
            if number not in self.connections:
                self.connections[number] = self.cluster.nodes[number].connect(timeout=2)
            return question(self.connections[number])
        except (OSError, EOFError, kafka.Closed):
            self.forget(number)
            return None

    def leader(self):
        """Whom the living call the leader, whoever answers first."""
        while not self.ending:
            for number in list(self.cluster.nodes):
                got = self.ask(number, lambda connection: metadata(connection, [self.topic])[2])
                found = (got or {}).get(self.topic, {}).get(self.partition, (-1,))[0]
                if found >= 0:
                    return found
            wait_pause(MOVED_PAUSE_S)
        return -1

    def producer_id(self):
        while True:
            for number in self.cluster.nodes:
                reader = self.ask(number, lambda c: c.ask(kafka.INIT_PRODUCER_ID, 1,
                                                          kafka.string(None) + kafka.int32(60000)))
                if reader is None:
                    continue
                reader.int32()
                if reader.int16() == 0:
                    return reader.int64(), reader.int16()
            wait_pause(0.05)

    def work(self):
        producer, epoch = self.producer_id()
        sequence = 0
        leader = self.leader()
        while not self.ending:
            batch = kafka.batch((b"%d" % sequence,), producer=producer, epoch=epoch, sequence=sequence)
            errors = self.ask(leader, lambda c, b=batch: produce(c, self.topic, [(self.partition, b)]))
            error = None if errors is None else errors[self.partition]
            if error in (0, DUPLICATE):
                self.done_at.append(time.monotonic())
                sequence += 1
                wait_pause(self.pause_s)
                continue
            wait_pause(MOVED_PAUSE_S)
            leader = self.leader()


class FileWriter(Watched):
    """Lines appended to a partition file of one node's mount, a write(2) each."""

    def __init__(self, path, pause_s=0.001):
        super().__init__()
        self.path = path
        self.pause_s = pause_s

    def work(self):
        number = 0
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            while not self.ending:
                os.write(file, b"%d\n" % number)
                self.done_at.append(time.monotonic())
                number += 1
                wait_pause(self.pause_s)
        finally:
            os.close(file)


class Probe(Watched):
    """Asks one node something small every few milliseconds: the longest answer bounds how long it was busy."""

    def __init__(self, node, pause_s=0.002):
        super().__init__()
        self.node = node
        self.pause_s = pause_s
        self.longest_ms = 0

    def work(self):
        with self.node.connect(timeout=120) as connection:
            while not self.ending:
                before = time.monotonic()
                connection.ask(kafka.METADATA, 4, kafka.array([]) + kafka.int8(0))
                self.done_at.append(time.monotonic())
                self.longest_ms = max(self.longest_ms, 1000 * (self.done_at[-1] - before))
                wait_pause(self.pause_s)
