#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check: one line per violation, exit status 1 when there is any.

Run from anywhere: `python3 tests/tidy.py`, or `meson test --suite tidy`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */"
CLANG_FORMAT_MAJOR = "14"  # Debian 12's; others break lines elsewhere.

TOP_LEVEL = {"meson.build", "fs", "broker", "replicate", "tests", "examples", "README.md"}

# What each room may include besides itself. Downwards only: adding a row that closes a circle is
# refused below.
MAY_INCLUDE = {
    "base": set(),
    "record": {"base"},
    "wire": {"base"},
    "log": {"base", "record"},
    "partition": {"base", "record", "log"},
    "catalog": {"base"},
    # Coordinators keep their state in Kafka's own record schemas, which wire generates.
    "group": {"base", "record", "wire", "partition", "catalog"},
    "secure": {"base", "catalog"},
    "handle": {"base", "record", "wire", "log", "partition", "catalog", "group", "secure"},
    # Each loop owns the codec contexts its connections decompress with.
    "net": {"base", "record", "wire", "secure", "handle"},
    # The controller implements what handlers ask of the cluster: handle/membership.h.
    "replicate": {"base", "record", "wire", "partition", "catalog", "secure", "handle"},
    # A file operation is the handler call a request would be, with the request's own structs; reads of
    # committed bytes go to the log without a loop.
    "fs": {"base", "record", "wire", "log", "partition", "catalog", "group", "handle"},
    "daemon": {"base", "record", "wire", "log", "partition", "catalog", "group", "secure",
               "handle", "net", "replicate", "fs"},
}

# Rooms that run in the simulator: no thread, lock, clock, socket or file but through the seams.
SIMULATED = {"record", "wire", "log", "partition", "group", "catalog", "handle", "replicate/core"}
OUTSIDE_WORLD = re.compile(
    r"#include <(pthread|threads|time|unistd|fcntl|dirent|poll|uv|raft|semaphore|signal"
    r"|sys/(socket|stat|time|mman|uio|epoll|random|eventfd|file)|netinet/\w+|arpa/\w+)(\.h|/.*)>")

# Sources without a test program of their own, and why.
CODECS = "one test runs all codecs through the same cases: tests/record/codec_test.c"
IMAGE = "reached only through commands: tests/catalog/apply_test.c, snapshot_test.c and their siblings"
ENGINE = "reached only through the engine: tests/replicate/engine_test.c"
CONFIGS = "through the requests it serves: tests/handle/alter_configs_test.c and describe_configs_test.c"
GROUPS = "one test goes through all requests of groups: tests/handle/group_requests_test.c"
FETCHER = "one machine in pieces: tests/replicate/fetcher_test.c runs it between nodes"
MOUNT = "answers a kernel: tests/mount/*.sh work it through a real mount"
PORT = "needs a port and a loop: tests/net/connection_test.c, accept_test.c and storm_test.c run it"
PROCESS = "a whole process: tests/node/*.sh start, refuse and stop it"
REPLICA = "reached only through a table of partitions: tests/sim, with its faults and planted bugs"
TESTED_ELSEWHERE = {
    "broker/catalog/apply_config.c": IMAGE,
    "broker/catalog/fields.c": IMAGE,
    "broker/catalog/hash.c": IMAGE,
    "broker/catalog/image.c": IMAGE,
    "broker/catalog/image_topic.c": IMAGE,
    "broker/catalog/topic_name.c": "names are part of tests/catalog/catalog_test.c",
    "broker/record/codec_gzip.c": CODECS,
    "broker/record/codec_lz4.c": CODECS,
    "broker/record/codec_snappy.c": CODECS,
    "broker/record/codec_zstd.c": CODECS,
    "broker/daemon/background.c": PROCESS,
    "broker/daemon/control.c": PROCESS,
    "broker/daemon/core.c": PROCESS,
    "broker/daemon/core_start.c": PROCESS,
    "broker/daemon/data.c": PROCESS,
    "broker/daemon/main.c": PROCESS,
    "broker/daemon/mount_point.c": PROCESS,
    "broker/daemon/node.c": PROCESS,
    "broker/daemon/node_cluster.c": PROCESS,
    "broker/daemon/quorum_description.c": PROCESS,
    "broker/daemon/node_start.c": PROCESS,
    "broker/daemon/node_stop.c": PROCESS,
    "broker/daemon/notify.c": PROCESS,
    "broker/daemon/options.c": PROCESS,
    "broker/handle/config_alteration.c": CONFIGS,
    "broker/handle/config_edit.c": CONFIGS,
    "broker/handle/delete_groups.c": GROUPS,
    "broker/handle/describe_groups.c": GROUPS,
    "broker/handle/find_coordinator.c": GROUPS,
    "broker/handle/heartbeat.c": GROUPS,
    "broker/handle/incremental_alter_configs.c": CONFIGS,
    "broker/handle/join_group.c": GROUPS,
    "broker/handle/leave_group.c": GROUPS,
    "broker/handle/list_config_resources.c": "part of tests/handle/describe_cluster_test.c",
    "broker/handle/list_groups.c": GROUPS,
    "broker/handle/offset_commit.c": GROUPS,
    "broker/handle/offset_delete.c": GROUPS,
    "broker/handle/offset_fetch.c": GROUPS,
    "broker/handle/producer_ids.c": "tests/handle/init_producer_id_test.c",
    "broker/handle/request.c": "its table: tests/handle/api_versions_test.c",
    "broker/handle/sync_group.c": GROUPS,
    "broker/handle/topic_creation.c": "tests/handle/create_topics_test.c and metadata_test.c",
    "broker/handle/replica_session.c": "one request is both: tests/handle/replica_fetch_test.c",
    "broker/net/exchange.c": PORT,
    "broker/net/listener.c": PORT,
    "broker/net/loop.c": PORT,
    "fs/append.c": MOUNT,
    "fs/cluster_files.c": "tests/cluster/views.sh; tests/fs/ops_memory_test.c",
    "fs/config_files.c": MOUNT,
    "fs/group_offsets.c": MOUNT,
    "fs/groups.c": MOUNT,
    "fs/help.c": MOUNT,
    "fs/info.c": MOUNT,
    "fs/mount.c": MOUNT,
    "fs/op.c": MOUNT,
    "fs/ops.c": MOUNT,
    "fs/ops_file.c": MOUNT,
    "fs/ops_refused.c": MOUNT,
    "fs/partition_file.c": MOUNT,
    "fs/root.c": MOUNT,
    "fs/status.c": MOUNT,
    "fs/sync.c": MOUNT,
    "fs/topic.c": MOUNT,
    "fs/tree.c": MOUNT,
    "fs/xattr.c": MOUNT,
    "replicate/core/isr.c": "proposals only: tests/sim runs it in whole clusters",
    "replicate/core/fetcher_answer.c": FETCHER,
    "replicate/core/fetcher_request.c": FETCHER,
    "replicate/core/fetcher_throttle.c": FETCHER,
    "replicate/engine/command_entry.c": ENGINE,
    "replicate/engine/engine_quorum.c": ENGINE,
    "replicate/engine/engine_uv.c": ENGINE,
    "replicate/engine/guard.c": "tests/sim: needs more than one node",
    "replicate/engine/machine.c": ENGINE,
    "replicate/engine/members.c": "tests/sim: needs more than one node",
    "replicate/engine/no_transport.c": ENGINE,
    "replicate/engine/segment_check.c": ENGINE,
}

# New: their tests are being written. Take a line off when they stand.
TESTS_LANDING = ("broker/handle/peer_",)

# Files that keep state of their own outside any struct, and why.
MUTABLE_GLOBALS = {
    "broker/base/memory.c": "the refusals that tests arm reach every allocation",
    "broker/base/report.c": "anyone may report, before anything else is set up",
}

FILE_NAMES_REFUSED = {"util", "utils", "misc", "manager", "common", "helper", "helpers", "stuff"}

# Markers of unfinished work. In pieces, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) +
                        r")\b")

# The tree speaks of the product: nothing in it names a place on the net or how it came about.
# A document that a comment cites may be named; a place to download from may not.
HOST = re.compile(r"(?:(?<=://)(?:[\w-]+\.)+\w+|\b(?:[a-z0-9-]+\.)+(?:com|dev|org))\b", re.IGNORECASE)
HOSTS_ALLOWED = re.compile(r"(^|\.)(example\.\w+|localhost|127(\.\d+){3}|opengroup\.org|rfc-editor\.org"
                           r"|kernel\.org|cwiki\.apache\.org|kafka\.apache\.org)$", re.IGNORECASE)
ORIGIN = re.compile(r"\b(l[l]m|chat[g]pt|co[-]authored|language mo[d]el|a[i] (tool|agent|model)"
                    r"|(your|the|this) pro[m]pt|sub-?a[g]ents?)\b", re.IGNORECASE)

SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\(|^\s*sleep\s+[\d$\"]")


class Tidy:
    def __init__(self):
        self.violations = []
        self.files = list_files()
        self.texts = {path: text for path in self.files
                      if (text := read_text(ROOT / path)) is not None}

    def say(self, path, line, what):
        self.violations.append((str(path), line, what))


def list_files():
    """Tracked and new files, relative to the root; everything where there is no git."""
    git = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard"], capture_output=True, check=False)
    if git.returncode == 0:
        names = [pathlib.Path(os.fsdecode(name)) for name in git.stdout.split(b"\0") if name]
        return sorted(name for name in names if (ROOT / name).is_file())
    return sorted(path.relative_to(ROOT) for path in ROOT.rglob("*")
                  if path.is_file() and not path.relative_to(ROOT).parts[0].startswith((".", "build")))


def read_text(path):
    """None for a file that is not text (a fuzz seed)."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def is_c(path):
    return path.suffix in (".c", ".h", ".inc")


def room_of(path):
    """The room a product file is in, None for tests and examples."""
    parts = path.parts
    if parts[0] == "broker" and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[0] in ("fs", "replicate") else None


def room_folder(room):
    return pathlib.Path(room) if room in ("fs", "replicate") else pathlib.Path("broker") / room


def built_rooms():
    """Those the build knows; a folder of nothing but agreed headers is not a room yet."""
    return [room for room in MAY_INCLUDE if (ROOT / room_folder(room) / "meson.build").exists()]


def check_tree(tidy):
    for name in sorted({path.parts[0] for path in tidy.files}):
        if name not in TOP_LEVEL and not name.startswith("."):
            tidy.say(name, 0, "does not belong at the top level")
    for path in tidy.files:
        words = {word for part in path.parts for word in re.split(r"[._-]", part)}
        for word in sorted(words & FILE_NAMES_REFUSED):
            tidy.say(path, 0, f"'{word}' says nothing: name it for a noun it owns")
        room = room_of(path)
        if room is not None and room not in MAY_INCLUDE:
            tidy.say(path, 0, f"'{room}' is not a room")
    for room in built_rooms():
        if not (ROOT / room_folder(room) / "README.md").exists() and \
                f"{room_folder(room)}/" not in TESTS_LANDING:
            tidy.say(room_folder(room), 0, "a room has a README.md with its rules")


def check_tests_exist(tidy):
    built = built_rooms()
    for path in tidy.files:
        room = room_of(path)
        if path.suffix != ".c" or room not in built:
            continue
        test = pathlib.Path("tests") / room / (path.stem + "_test.c")
        if str(path) in TESTED_ELSEWHERE:
            if (ROOT / test).exists():
                tidy.say(path, 0, "has a test: take it off the list in tests/tidy.py")
        elif not (ROOT / test).exists() and not str(path).startswith(TESTS_LANDING):
            tidy.say(path, 0, f"has no {test}")
    for name in TESTED_ELSEWHERE:
        if not (ROOT / name).exists():
            tidy.say("tests/tidy.py", 0, f"{name} is on the list and not in the tree")


def check_shape(tidy, path, lines):
    if len(lines) > FILE_LINES_MAX:
        tidy.say(path, len(lines), f"{len(lines)} lines; {FILE_LINES_MAX} is the most")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            tidy.say(path, number, f"{len(line)} columns; {COLUMNS_MAX} is the most")


def check_opening(tidy, path, lines):
    if not lines or lines[0] != SPDX:
        tidy.say(path, 1, "the first line is the licence: " + SPDX)
        return
    text = "\n".join(lines[1:])
    comment = re.match(r"/\* (.*?)\*/", text, re.DOTALL)
    if comment is None or not re.search(r"\w[^.]*[.:]", comment.group(1)):
        tidy.say(path, 2, "a file opens with a sentence that says what it is")


def functions_of(lines):
    """(first line, last line, name) of each function: its body is between braces in column one."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
            while start > 1 and re.match(r"[\w\s*(),.\[\]\"]", lines[start - 2]) and \
                    lines[start - 2].strip() and not lines[start - 2].startswith(("}", "#")):
                start -= 1
                if not lines[start - 1][0].isspace() and (
                        start < 2 or not re.match(r"\w", lines[start - 2])):
                    break
        elif line == "}" and start is not None:
            head = " ".join(lines[start - 1:number]).split("{")[0]
            names = re.findall(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)\)?", "", head))
            yield start, number, names[0] if names else "?"
            start = None


def check_functions(tidy, path, lines):
    for first, last, name in functions_of(lines):
        if last - first + 1 > FUNCTION_LINES_MAX:
            tidy.say(path, first, f"{name} has {last - first + 1} lines; "
                                  f"{FUNCTION_LINES_MAX} is the most")


def check_includes(tidy, path, lines):
    room = room_of(path)
    simulated = room in SIMULATED or "/".join(path.parts[:2]) in SIMULATED
    for number, line in enumerate(lines, 1):
        if simulated and OUTSIDE_WORLD.match(line):
            tidy.say(path, number, f"{line}: this room reaches the world only through the seams")
        included = re.match(r'#include "([^"]+)"', line)
        if included is None:
            continue
        name = included.group(1)
        if ".." in name.split("/"):
            tidy.say(path, number, f"{name}: an include is written from its room")
        elif room is not None:
            target = name.split("/")[0] if "/" in name else None
            if target is None:
                tidy.say(path, number, f"{name}: an include is written with its room")
            elif target not in MAY_INCLUDE:
                tidy.say(path, number, f"{name}: '{target}' is not a room")
            elif room in MAY_INCLUDE and target != room and target not in MAY_INCLUDE[room]:
                tidy.say(path, number, f"{name}: {room} may not use {target}")


def check_globals(tidy, path, lines):
    if room_of(path) is None or path.suffix != ".c" or str(path) in MUTABLE_GLOBALS:
        return
    for number, line in enumerate(lines, 1):
        variable = re.match(r"(static |_Thread_local |struct |atomic_|u?int|char|bool|long|size_t)"
                            r"[^()]*(;|=)", line)
        if variable and not re.search(r"\bconst\b|^struct \w+;", line):
            tidy.say(path, number, f"state outside any struct: {line.strip()}")


def check_words(tidy, path, lines):
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            tidy.say(path, number, f"unfinished: {line.strip()}")
        if ORIGIN.search(line):
            tidy.say(path, number, f"not about the product: {line.strip()}")
        for host in HOST.findall(line):
            # Go modules and XML name spaces are called after hosts; nothing is fetched from the name.
            if path.name not in ("go.mod", "go.sum", "pom.xml") and path.suffix != ".go" and \
                    not HOSTS_ALLOWED.search(host):
                tidy.say(path, number, f"names a host: {host}")


def enclosing_waits(path, lines):
    """The numbers of the lines inside a function that says it waits: wait_for_it, node_wait."""
    inside = set()
    if is_c(path):
        for first, last, name in functions_of(lines):
            if "wait" in name.split("_"):
                inside.update(range(first, last + 1))
        return inside
    waiting_indent = None  # Python and shell: until a line that is not deeper than the header.
    for number, line in enumerate(lines, 1):
        indent = len(line) - len(line.lstrip())
        if waiting_indent is not None and line.strip() and indent <= waiting_indent and \
                line.strip() not in ("}", ")"):
            waiting_indent = None
        if re.match(r"\s*(def\s+(\w+_)?wait(_\w+)?\b|(\w+_)?wait(_\w+)?\s*\(\))", line):
            waiting_indent = indent
        if waiting_indent is not None:
            inside.add(number)
    return inside


def check_sleeps(tidy, path, lines):
    if path.parts[0] != "tests" or path.suffix not in (".c", ".h", ".py", ".sh"):
        return
    waits = enclosing_waits(path, lines)
    for number, line in enumerate(lines, 1):
        if SLEEP.search(line) and number not in waits and path != pathlib.Path("tests/tidy.py"):
            tidy.say(path, number, "a test waits for a condition with a deadline (wait_...)")


def check_room_table(tidy):
    """Every room's rooms are below it: walking down never comes back."""
    def below(room, seen):
        for target in MAY_INCLUDE[room]:
            if target not in seen:
                seen.add(target)
                below(target, seen)
        return seen
    for room in MAY_INCLUDE:
        if room in below(room, set()):
            tidy.say("tests/tidy.py", 0, f"{room} includes itself through another room")


def config_rows(tidy):
    """(path, line, scope, text) of each row of the table of configuration keys."""
    for path, text in tidy.texts.items():
        if path.parts[:2] != ("broker", "catalog") or path.suffix != ".inc":
            continue
        for row in re.finditer(r"^(NODE|TOPIC)_\w+\((.*?)\),$(?=\n\w|\n/\*|\Z)", text,
                               re.DOTALL | re.MULTILINE):
            yield path, text.count("\n", 0, row.start()) + 1, row.group(1), row.group(2)


def check_config_keys(tidy):
    """A key is read somewhere, or its row says that it has no effect."""
    named = set()
    for path, text in tidy.texts.items():
        if room_of(path) is not None and path.suffix in (".c", ".h") and path.name not in (
                "config_check.c", "config_rows.c", "config_set.c"):
            named.update(re.findall(r'"([a-z][a-z0-9.]+)"', text))
    # Keys that stand in for another: read with that.
    stands_for = {key: other for other, key in re.findall(
        r'\{"([a-z.]+)", "([a-z.]+)", \d+\}', tidy.texts[pathlib.Path("broker/catalog/config_set.c")])}
    rows = list(config_rows(tidy))
    if len(rows) < 150:
        tidy.say("broker/catalog/config_rows.c", 0, f"{len(rows)} rows found: tests/tidy.py cannot read them")
    for path, line, scope, text in rows:
        strings = re.findall(r'"([^"]*)"', text)
        key, flagged = strings[0], re.search(r"\b(NO_EFFECT|ACCEPTED|NOT_YET)\b", text) is not None
        # The default of a topic's key is read with that.
        topics = [re.findall(r'"([^"]*)"', other)[0] for _, _, kind, other in rows
                  if kind == "TOPIC" and scope == "NODE" and f'"{stands_for.get(key, key)}"' in other]
        read = bool(named & {key, stands_for.get(key, key), *topics})
        one_value = len(strings) > 2 and strings[1] == strings[2]
        if read and flagged:
            tidy.say(path, line, f"{key} is read somewhere: its row says that it has no effect")
        if not read and not flagged and not one_value:
            tidy.say(path, line, f"nothing reads {key}: say so in its row, or take it out")


def check_format(tidy):
    program = shutil.which("clang-format")
    if program is None:
        return
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\d+)", version.stdout)
    if found is None or found.group(1) != CLANG_FORMAT_MAJOR:
        return
    sources = [str(path) for path in tidy.files if path.suffix in (".c", ".h")]
    if not sources:
        return
    result = subprocess.run([program, "--dry-run", *sources], cwd=ROOT, capture_output=True,
                            text=True, check=False)
    first = {}
    for match in re.finditer(r"^(\S+?):(\d+):\d+: warning:", result.stderr, re.MULTILINE):
        first.setdefault(match.group(1), int(match.group(2)))
    for name, line in first.items():
        tidy.say(name, line, "clang-format would change it")


def check_planted(tidy):
    """A change moves the bugs that are planted in its lines along."""
    program = shutil.which("patch")
    if program is None:
        return
    for path in sorted(ROOT.glob("tests/sim/planted*/*.patch")):
        result = subprocess.run([program, "-p1", "--dry-run", "--force", "-i", str(path)], cwd=ROOT,
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            tidy.say(path.relative_to(ROOT), 0, "the planted bug does not apply any more")


def main():
    tidy = Tidy()
    check_room_table(tidy)
    check_tree(tidy)
    check_tests_exist(tidy)
    for path, text in tidy.texts.items():
        lines = text.splitlines()
        if is_c(path):
            check_shape(tidy, path, lines)
            check_opening(tidy, path, lines)
            check_includes(tidy, path, lines)
            check_globals(tidy, path, lines)
        if path.suffix == ".c":
            check_functions(tidy, path, lines)
        check_words(tidy, path, lines)
        check_sleeps(tidy, path, lines)
    check_config_keys(tidy)
    check_planted(tidy)
    check_format(tidy)

    for path, line, what in sorted(tidy.violations):
        print(f"{path}:{line}: {what}" if line else f"{path}: {what}")
    return 1 if tidy.violations else 0


if __name__ == "__main__":
    sys.exit(main())
