# SPDX-License-Identifier: Apache-2.0
"""What is measured beside each other: topicfs, the bare loops, Apache Kafka. Each starts in a folder
of its own, says its process id and port, and leaves nothing behind."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

DEADLINE_S = 120


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what, condition, deadline_s=DEADLINE_S, pause_s=0.005):
    """Polls until the condition holds; raises when it does not within the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {deadline_s} s in vain: {what}")
        time.sleep(pause_s)


def cpu_seconds(pid):
    """Of all threads so far, to the nanosecond: for figures too small for clock ticks."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_bytes(pid):
    """Resident memory that is the process's own share (PSS)."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no memory figure of process {pid}")


class Contender:
    """One process that serves a port or a mount."""

    def __init__(self, bench, name, port=None):
        self.bench = bench
        self.name = name
        self.port = port
        self.folder = bench.folder / name
        self.process = None
        self.pid = 0

    def launch(self, command, **options):
        self.folder.mkdir(parents=True, exist_ok=True)
        log = open(self.folder.with_suffix(".out"), "ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        self.pid = self.process.pid
        log.close()

    def alive(self):
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: see {self.folder.with_suffix('.out')}")
        return True

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
        self.process = None
        self.pid = 0

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """Of every process whose work counts."""
        return [self.pid] if self.pid else []

    def drive(self, *arguments):
        """Runs drive_port against this contender and gives its one line."""
        command = [self.bench.program("drive_port"), *arguments, "--port", str(self.port)]
        if self.pids():
            command += ["--pid", ",".join(map(str, self.pids()))]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, command))}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def create(self, topic, partitions=1, *options, **configs):
        options = list(options)
        for key, value in configs.items():
            options += ["--config", f"{key.replace('_', '.')}={value}"]
        self.drive("create", "--topic", topic, "--partitions", partitions, *options)


class BareNode(Contender):
    def __init__(self, bench):
        super().__init__(bench, "bare_node", 19990)

    def start(self):
        self.clear()
        self.folder.mkdir(parents=True)
        self.launch([self.bench.program("bare_node"), str(self.port), str(self.folder)])
        wait_for("the bare loop's port", lambda: self.alive() and port_open(self.port))

    def create(self, topic, partitions=1, **configs):
        """Serves every name; begins anew, as all batches of a partition must be alike."""
        self.stop()
        self.start()


class BareMount(Contender):
    def __init__(self, bench, threads):
        super().__init__(bench, "bare_mount")
        self.threads = threads

    def start(self, size_mib=1024):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.launch([self.bench.program("bare_mount"), str(self.folder), str(self.threads),
                     str(size_mib)])
        wait_for("the bare mount", lambda: self.alive() and (self.folder / "t/0").exists())

    def file(self):
        return self.folder / "t/0"

    def stop(self):
        if self.process is not None:
            subprocess.run(["umount", str(self.folder)], check=True)
            self.process.wait(DEADLINE_S)
        self.process = None
        self.pid = 0


class Topicfs(Contender):
    def __init__(self, bench):
        super().__init__(bench, "topicfs", 19992)
        self.mount = bench.folder / "topicfs.mnt"

    def command(self, durability, mount, extra=()):
        words = [str(self.bench.topicfs)]
        for setting in (f"listeners=PLAINTEXT://127.0.0.1:{self.port}",
                        f"log.dirs={self.folder}/data", f"topicfs.durability={durability}", *extra):
            words += ["--override", setting]
        return words + ([str(self.mount)] if mount else ["--no-mount"])

    def start(self, durability="replicated", mount=False, extra=()):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mount.mkdir(exist_ok=True)
        words = self.command(durability, mount, extra)
        self.launch([words[0], "-f", *words[1:]])
        wait_for("topicfs to answer", lambda: self.alive() and port_open(self.port) and
                 (not mount or os.path.ismount(self.mount)))

    def file(self, topic="t", partition=0):
        return self.mount / topic / str(partition)

    def time_daemon(self, durability="replicated", mount=True):
        """Seconds that the command takes until it returns, which is when the node serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mount.mkdir(exist_ok=True)
        before = time.monotonic()
        subprocess.run(self.command(durability, mount), check=True)
        seconds = time.monotonic() - before
        if not port_open(self.port):
            raise RuntimeError("topicfs returned, but its port does not answer")
        pid_file = self.folder / "data" / "topicfs.pid"
        self.pid = int(pid_file.read_text())
        return seconds

    def stop_daemon(self):
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        wait_for("topicfs to end", lambda: not pathlib.Path(f"/proc/{pid}").exists())
        self.pid = 0


class TopicfsCluster(Contender):
    """Three nodes on this machine, without mounts."""

    PORTS = (19992, 19994, 19996)

    def __init__(self, bench, durability):
        super().__init__(bench, f"topicfs-{durability}", self.PORTS[0])
        self.durability = durability
        self.nodes = {}

    def pids(self):
        return [process.pid for process in self.nodes.values()]

    def start_node(self, number):
        words = [str(self.bench.topicfs), "-f", "--no-mount"]
        for setting in ("topicfs.nodes=" + ",".join(f"127.0.0.1:{port}" for port in self.PORTS),
                        f"topicfs.token.file={self.folder}/token",
                        f"listeners=PLAINTEXT://127.0.0.1:{self.PORTS[number]}",
                        f"log.dirs={self.folder}/{number}", f"topicfs.durability={self.durability}"):
            words += ["--override", setting]
        with open(self.folder.with_suffix(".out"), "ab") as log:
            self.nodes[number] = subprocess.Popen(words, stdout=log, stderr=log)

    def stop_node(self, number):
        process = self.nodes.pop(number)
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)

    def alive(self):
        if any(process.poll() is not None for process in self.nodes.values()):
            raise RuntimeError(f"a node ended: see {self.folder.with_suffix('.out')}")
        return True

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        token = self.folder / "token"
        token.write_text(os.urandom(32).hex())
        token.chmod(0o600)
        for number in range(len(self.PORTS)):
            self.start_node(number)
        wait_for("three nodes to answer", lambda: self.alive() and all(map(port_open, self.PORTS)))
        wait_for("the nodes to know each other", self.formed)

    def formed(self):
        topic = f"formed-{time.monotonic_ns()}"
        try:
            # In sync with every node: then none of them is still to become a leader.
            self.create(topic, 1, 3, min_insync_replicas=3)
        except RuntimeError:
            return False
        return True

    def create(self, topic, partitions=1, replicas=3, **configs):
        create_replicated(self, topic, partitions, replicas, configs)

    def stop(self):
        for process in self.nodes.values():
            process.send_signal(signal.SIGTERM)
        for number in list(self.nodes):
            self.stop_node(number)


def create_replicated(contender, topic, partitions, replicas, configs):
    """A topic that every replica has in sync, and that was written to once."""
    Contender.create(contender, topic, partitions, "--replicas", replicas, **configs)

    def led():
        """It answers before it leads: the first requests may be refused."""
        try:
            contender.drive("produce", "--topic", topic, "--partitions", partitions, "--connections",
                            partitions, "--requests", partitions, "--batch-bytes", 1024, "--leaders",
                            "--acks", -1)
        except RuntimeError:
            return False
        return True
    wait_for(f"{contender.name} to lead {topic}", led)


class Kafka(Contender):
    """Apache Kafka, by a script with `start DIR [NODES]`, `stop DIR` and `pids DIR`."""

    def __init__(self, bench, script, nodes=1):
        super().__init__(bench, "kafka", 19092)
        self.script = script
        self.nodes = nodes
        self.node_pids = []

    def pids(self):
        return self.node_pids

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        # The script leaves the node running with its own output open: give it files, not pipes.
        with open(self.folder.with_suffix(".out"), "ab") as log:
            subprocess.run([self.script, "start", str(self.folder), str(self.nodes)], stdout=log,
                           stderr=log, check=True)
        pids = subprocess.run([self.script, "pids", str(self.folder)], capture_output=True,
                              text=True, check=True).stdout.split()
        self.node_pids = list(map(int, pids))
        self.pid = self.node_pids[0]

    def create(self, topic, partitions=1, replicas=1, **configs):
        """Without our own keys, which it does not know."""
        configs = {key: value for key, value in configs.items() if not key.startswith("topicfs")}
        create_replicated(self, topic, partitions, replicas, configs)

    def warm(self, load, seconds=30):
        """Starts it and makes its compiler finish, once: load(contender, topic) again and again."""
        if self.pid:
            return
        self.start()
        self.create("warm", 3 if self.nodes > 1 else 2, self.nodes)
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            load(self, "warm")

    def stop(self):
        if self.pid:
            subprocess.run([self.script, "stop", str(self.folder)], check=True)
        self.pid = 0
        self.node_pids = []
