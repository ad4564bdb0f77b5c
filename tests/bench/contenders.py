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

    def drive(self, *arguments):
        """Runs drive_port against this contender and gives its one line."""
        command = [self.bench.program("drive_port"), *arguments, "--port", str(self.port)]
        if self.pid:
            command += ["--pid", str(self.pid)]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, command))}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def create(self, topic, partitions=1, **configs):
        options = []
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


class Kafka(Contender):
    """One node of Apache Kafka, by a script with `start DIR`, `stop DIR` and `pids DIR`."""

    def __init__(self, bench, script):
        super().__init__(bench, "kafka", 19092)
        self.script = script

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        # The script leaves the node running with its own output open: give it files, not pipes.
        with open(self.folder.with_suffix(".out"), "ab") as log:
            subprocess.run([self.script, "start", str(self.folder)], stdout=log, stderr=log,
                           check=True)
        pids = subprocess.run([self.script, "pids", str(self.folder)], capture_output=True,
                              text=True, check=True).stdout.split()
        self.pid = int(pids[0])

    def create(self, topic, partitions=1, **configs):
        """Without our own keys, which it does not know."""
        configs = {key: value for key, value in configs.items() if not key.startswith("topicfs")}
        super().create(topic, partitions, **configs)

        def led():
            """It answers before it leads: the first requests may be refused."""
            try:
                self.drive("produce", "--topic", topic, "--partitions", partitions, "--requests",
                           partitions, "--batch-bytes", 1024)
            except RuntimeError:
                return False
            return True
        wait_for(f"Kafka to lead {topic}", led)

    def stop(self):
        if self.pid:
            subprocess.run([self.script, "stop", str(self.folder)], check=True)
        self.pid = 0
