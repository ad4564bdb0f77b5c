#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sound requests that ask for too much, for what is not theirs, or for nonsense."""
import os
import sys
import time

import kafka
from kafka import (ALTER_CONFIGS, CREATE_TOPICS, DELETE_RECORDS, DESCRIBE_CONFIGS, FETCH, FIND_COORDINATOR, HEARTBEAT,
                   INCREMENTAL_ALTER_CONFIGS, INIT_PRODUCER_ID, JOIN_GROUP, METADATA, NO_TAGS, OFFSET_COMMIT,
                   OFFSET_FETCH, SYNC_GROUP, WRITE_TXN_MARKERS, array, batch, blob, compact, compact_array, int8,
                   int16, int32, int64, request, string, uvarint)
from suite import Suite, expect

HUGE = 2**31 - 1
LOADING, REBALANCE_IN_PROGRESS = 14, 27
OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC, METADATA_TOO_LARGE, INVALID_TOPIC, ILLEGAL_GENERATION = 1, 3, 12, 17, 22
UNKNOWN_MEMBER, INVALID_SESSION, AUTHORIZATION_FAILED, INVALID_PARTITIONS, INVALID_FACTOR = 25, 26, 31, 37, 38
INVALID_CONFIG, INVALID_REQUEST, SESSION_NOT_FOUND, FENCED_EPOCH, UNKNOWN_EPOCH, GROUP_FULL = 40, 42, 70, 74, 75, 81

suite = Suite()
case = suite.case


@case("the topic for the requests is there")
def prepare():
    kafka.create_topic(suite.healthy, "requests")
    return expect(0, kafka.produce(suite.healthy, "requests", batch([bytes(5000)]))[0])


def fetched(offset=0, **options):
    with suite.connect() as connection:
        return kafka.fetch(connection, "requests", offset, **options)


# ---- Fetch ----

@case("a Fetch of 100,000 partitions that are not there, of 2^31-1 bytes each, is answered")
def many_partitions():
    partitions = [(n, -1, 0, HUGE) for n in range(100000)]
    with suite.connect(timeout=30) as connection:
        connection.send(request(FETCH, 11, kafka.fetch_body({"requests": partitions}, max_bytes=HUGE)))
        error, _, topics = kafka.read_fetch(connection.answer())
    found = [entry for entry in topics["requests"] if entry[1] == 0]
    return expect(0, error) or expect(100000, len(topics["requests"])) or expect(1, len(found)) or \
        (None if found[0][3] else "no batch")


@case("a Fetch of a byte brings a whole batch")
def one_byte():
    error, records = fetched(max_bytes=1)
    return expect(0, error) or (None if len(records) > 5000 else f"only {len(records)} bytes")


@case("a Fetch with sizes of -1 and -2^31 is answered")
def negative_sizes():
    return expect((0, INVALID_REQUEST), fetched(max_bytes=-1)[0]) or \
        expect((0, INVALID_REQUEST), fetched(max_bytes=-2**31, min_bytes=-2**31)[0])


@case("an offset below the start, or beyond the end, is OFFSET_OUT_OF_RANGE")
def out_of_range():
    for offset in (-1, -5, -2**63, 1000000, 2**63 - 1):
        wrong = expect(OFFSET_OUT_OF_RANGE, fetched(offset)[0])
        if wrong:
            return f"offset {offset}: {wrong}"
    return None


@case("a Fetch from a client that says it is a replica is CLUSTER_AUTHORIZATION_FAILED and moves no high watermark")
def false_replica():
    for replica in (0, 1, 5, HUGE):
        got = fetched(replica=replica)[0]
        wrong = expect(AUTHORIZATION_FAILED, got)
        if wrong:
            return f"replica {replica}: {wrong}"
    return None


@case("a Fetch session that was guessed is FETCH_SESSION_ID_NOT_FOUND")
def guessed_session():
    for session in (1, 77, HUGE):
        wrong = expect(SESSION_NOT_FOUND, fetched(session=session, epoch=3)[0])
        if wrong:
            return f"session {session}: {wrong}"
    return None


@case("5,000 Fetch sessions are bounded and the oldest go", memory_max=48 << 20)
def many_sessions():
    with suite.connect() as connection:
        for _ in range(5000):
            kafka.fetch(connection, "requests", 0, epoch=0)
    return None


@case("a Fetch that would wait 2^31-1 ms ends with its connection")
def endless_wait():
    connections = [suite.connect() for _ in range(100)]
    for connection in connections:
        connection.send(request(FETCH, 11, kafka.fetch_body({"requests": [(0, -1, 1, 1000)]}, wait_ms=HUGE,
                                                            min_bytes=HUGE)))
    for connection in connections:
        connection.socket.close()
    wrong = expect(0, kafka.produce(suite.healthy, "requests", batch())[0])
    return wrong or expect(0, fetched(wait_ms=-5, min_bytes=HUGE)[0])


@case("a leader epoch of the future is UNKNOWN_LEADER_EPOCH")
def future_epoch():
    return expect(UNKNOWN_EPOCH, fetched(leader=HUGE)[0])


# ---- topics ----

def created(name, partitions=1, factor=1, assignments=(), configs=(), times=1):
    topic = string(name) + int32(partitions) + int16(factor) + array(list(assignments)) + \
        array([string(key) + string(value) for key, value in configs])
    with suite.connect() as connection:
        reader = connection.ask(CREATE_TOPICS, 2, array([topic] * times) + int32(10000) + int8(0))
    reader.int32()
    return {(answer.string(), answer.int16(), answer.string())[1] for answer in [reader] * reader.int32()}


def topic_names():
    with suite.connect(timeout=30) as connection:
        reader = connection.ask(METADATA, 1, int32(-1))
    reader.items(lambda node: (node.int32(), node.string(), node.int32(), node.string()))
    reader.int32()
    ids = lambda numbers: numbers.items(lambda number: number.int32())
    return [topic[1] for topic in reader.items(lambda topic: (
        topic.int16(), topic.string(), topic.int8(), topic.items(
            lambda part: (part.int16(), part.int32(), part.int32(), ids(part), ids(part)))))]


@case("topics of names that are none are INVALID_TOPIC_EXCEPTION")
def wrong_names():
    for name in ("", ".", "..", "x" * 250, "a/b", "../up", "nul\0", "new\nline", "esc\x1b[2J", "blank ", "ümlaut",
                 "-c\"", "%s%n"):
        wrong = expect({INVALID_TOPIC}, created(name))
        if wrong:
            return f"{name!r}: {wrong}"
    return None


@case("a topic of 249 characters is made, one that collides with another by . and _ is not")
def names_at_the_edge():
    return expect({0}, created("x" * 249)) or expect({0}, created("edge.case")) or \
        expect({INVALID_TOPIC}, created("edge_case"))


@case("the node's own topics, and names that collide with them, are not made by a client")
def internal_names():
    for name in ("__consumer_offsets", "__consumer.offsets", "__transaction_state", "__share_group_state",
                 "__cluster_metadata"):
        wrong = expect({INVALID_REQUEST}, created(name))
        if wrong:
            return f"{name}: {wrong}"
    return None


@case("numbers of partitions that cannot be are INVALID_PARTITIONS")
def wrong_partitions():
    for count in (0, -2, -2**31, 10**9, HUGE):
        got = created("counted", partitions=count)
        if not got <= {INVALID_PARTITIONS, 44}:
            return f"{count}: {got}"
    return None


@case("replication factors that cannot be are INVALID_REPLICATION_FACTOR")
def wrong_factors():
    for factor in (0, -2, 99, 32767, -32768):
        wrong = expect({INVALID_FACTOR}, created("factored", factor=factor))
        if wrong:
            return f"{factor}: {wrong}"
    return None


@case("assignments to nodes that are not, or with holes, are refused")
def wrong_assignments():
    def assigned(*rows):
        return created("assigned", -1, -1, [int32(index) + array([int32(node) for node in nodes])
                                            for index, nodes in rows])
    for rows in ([(0, [77])], [(0, [])], [(1, [1])], [(0, [1, 1])], [(-1, [1])], [(0, [1]), (0, [1])],
                 [(HUGE, [1])]):
        if 0 in assigned(*rows):
            return f"{rows} was accepted"
    return None


@case("a topic twice in one request is INVALID_REQUEST and not made")
def topic_twice():
    wrong = expect({INVALID_REQUEST}, created("twice", times=2))
    return wrong or ("it was made" if "twice" in topic_names() else None)


@case("configurations that are none are INVALID_CONFIG, and values are only data")
def wrong_configs():
    for key, value in (("no.such.key", "1"), ("retention.ms", "`reboot`"), ("retention.ms", "${jndi:ldap://localhost/a}"),
                       ("cleanup.policy", "/etc/passwd"), ("segment.bytes", "-5"), ("max.message.bytes", "1e9"),
                       ("retention.ms", "9" * 400), ("compression.type", "x" * 30000), ("topicfs.durability", "maybe")):
        wrong = expect({INVALID_CONFIG}, created("configured", configs=[(key, value)]))
        if wrong:
            return f"{key}={value[:30]}: {wrong}"
    return None


def altered(api, entries, topic="requests"):
    with suite.connect() as connection:
        reader = connection.ask(api, 0, array([int8(2) + string(topic) + array(entries)]) + int8(0))
    reader.int32(), reader.int32()
    return reader.int16()


@case("a configuration altered to nonsense is INVALID_CONFIG and stays as it was")
def wrong_alterations():
    for value in ("$(id)", "${env:PATH}", "file:///etc/passwd", "-77", ""):
        wrong = expect(INVALID_CONFIG, altered(ALTER_CONFIGS, [string("retention.ms") + string(value)])) or \
            expect(INVALID_CONFIG, altered(INCREMENTAL_ALTER_CONFIGS,
                                           [string("retention.ms") + int8(0) + string(value)]))
        if wrong:
            return f"{value}: {wrong}"
    if altered(INCREMENTAL_ALTER_CONFIGS, [string("retention.ms") + int8(9) + string("1")]) == 0:
        return "an operation that does not exist was accepted"
    if altered(ALTER_CONFIGS, [string("retention.ms") + string("1")], "no-such-topic") == 0:
        return "a topic that does not exist was accepted"
    return None


@case("a million unknown topics in one Metadata request make no flood of topics", memory_max=256 << 20)
def topic_flood():
    names = [string("flood-%d" % n) for n in range(1000000)]
    with suite.connect(timeout=60) as connection:
        connection.send(request(METADATA, 4, array(names) + int8(1)))
        try:
            connection.answer()
        except kafka.Closed:
            pass
    made = sum(name.startswith("flood-") for name in topic_names())
    return None if made <= 1000 else f"{made} topics were made"


@case("DeleteRecords beyond the high watermark, or below -1, is OFFSET_OUT_OF_RANGE")
def delete_beyond():
    for offset in (1000000, 2**63 - 1, -2, -2**63):
        with suite.connect() as connection:
            reader = connection.ask(DELETE_RECORDS, 1, array([string("requests") + array([int32(0) + int64(offset)])]) +
                                    int32(10000))
        reader.int32(), reader.int32(), reader.string(), reader.int32(), reader.int32(), reader.int64()
        wrong = expect(OFFSET_OUT_OF_RANGE, reader.int16())
        if wrong:
            return f"offset {offset}: {wrong}"
    return None


@case("DescribeConfigs of resources that do not exist harms nobody")
def odd_resources():
    with suite.connect() as connection:
        for kind in (0, 1, 3, 4, 8, 16, 32, -1, 127):
            connection.ask(DESCRIBE_CONFIGS, 1, array([int8(kind) + string("../x") + int32(-1)]) + int8(1))
    return None


# ---- groups ----

def joined(group, session=10000, member="", protocols=(("range", b""),), version=1, connection=None, wait=True):
    """(error, generation, leader, member id), once the group is in balance."""
    mine = connection or suite.connect()
    body = string(group) + int32(session) + int32(session) + string(member) + \
        (string(None) if version >= 5 else b"") + string("consumer") + \
        array([string(name) + blob(metadata) for name, metadata in protocols])
    mine.send(request(JOIN_GROUP, version, body))
    if not wait:
        return mine
    deadline = time.monotonic() + 10
    while True:
        reader = mine.answer()
        if version >= 2:
            reader.int32()
        error, generation = reader.int16(), reader.int32()
        if error != LOADING or time.monotonic() > deadline:
            break
        mine.send(request(JOIN_GROUP, version, body))  # This group's part of __consumer_offsets is being read.
    reader.string()
    result = error, generation, reader.string(), reader.string()
    if connection is None:
        mine.socket.close()
    return result


@case("the group coordinator is there")
def coordinator():
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        reader = suite.healthy.ask(FIND_COORDINATOR, 0, string("sessions"))
        if reader.int16() == 0 and joined("sessions", 1)[0] == INVALID_SESSION:
            return None
    return "not within 10 s"


@case("session timeouts outside the limits are INVALID_SESSION_TIMEOUT")
def wrong_sessions():
    for session in (1, 0, -1, -2**31, 5999, 1800001, HUGE):
        wrong = expect(INVALID_SESSION, joined("sessions", session)[0])
        if wrong:
            return f"{session} ms: {wrong}"
    return None


@case("32 MiB of member metadata are INVALID_REQUEST", memory_max=200 << 20)
def fat_member():
    with suite.connect(timeout=30) as connection:
        got = joined("fat", protocols=(("range", bytes(32 << 20)),), connection=connection)
    return expect(INVALID_REQUEST, got[0])


@case("more members than group.max.size are GROUP_MAX_SIZE_REACHED")
def full_group():
    waiting = [joined("full", connection=suite.connect(), wait=False) for _ in range(30)]
    errors = []
    for connection in waiting:
        connection.socket.settimeout(0.5)
        try:
            reader = connection.answer()
            errors.append(reader.int16())
        except (kafka.Closed, TimeoutError):
            continue
    for connection in waiting:
        connection.socket.close()
    return None if errors.count(GROUP_FULL) >= 20 else f"refused: {errors}"


@case("a member id that was never given is UNKNOWN_MEMBER_ID everywhere")
def dead_member():
    with suite.connect() as connection:
        wrong = expect(UNKNOWN_MEMBER, joined("dead", member="dead-1", connection=connection)[0])
        if wrong:
            return f"JoinGroup: {wrong}"
        beat = connection.ask(HEARTBEAT, 0, string("dead") + int32(1) + string("dead-1")).int16()
        sync = connection.ask(SYNC_GROUP, 0, string("dead") + int32(1) + string("dead-1") + array([])).int16()
    return expect(UNKNOWN_MEMBER, beat) or expect(UNKNOWN_MEMBER, sync)


@case("a group without an id, or of 32,767 bytes, is INVALID_GROUP_ID or served")
def odd_groups():
    return expect(24, joined("")[0]) or expect((0, 24), joined("g" * 32767)[0])


@case("a generation that is not, and a member that is not, cannot commit")
def foreign_commit():
    def commit(group, generation, member, offset=1, metadata=""):
        entry = int32(0) + int64(offset) + string(metadata)
        reader = connection.ask(OFFSET_COMMIT, 2, string(group) + int32(generation) + string(member) + int64(-1) +
                                array([string("requests") + array([entry])]))
        reader.int32(), reader.string(), reader.int32(), reader.int32()
        return reader.int16()
    with suite.connect() as connection:
        error, generation, _, member = joined("commits", connection=connection)
        if error:
            return f"JoinGroup: error {error}"
        connection.ask(SYNC_GROUP, 0, string("commits") + int32(generation) + string(member) +
                       array([string(member) + blob(b"all")]))
        return expect(ILLEGAL_GENERATION, commit("commits", generation + 1, member)) or \
            expect(ILLEGAL_GENERATION, commit("commits", generation - 1, member)) or \
            expect(UNKNOWN_MEMBER, commit("commits", generation, "someone")) or \
            expect((UNKNOWN_MEMBER, ILLEGAL_GENERATION), commit("commits", -1, "")) or \
            expect(METADATA_TOO_LARGE, commit("commits", generation, member, metadata="m" * 4097)) or \
            expect(0, commit("commits", generation, member, metadata="m" * 4096)) or \
            expect(0, commit("commits", generation, member, offset=-7))


@case("an assignment from a member that does not lead is ignored")
def usurper():
    def read_join(connection):
        reader = connection.answer()
        error, generation = reader.int16(), reader.int32()
        reader.string()
        return error, generation, reader.string(), reader.string()

    def sync(connection, generation, member, assignments):
        connection.send(request(SYNC_GROUP, 0, string("led") + int32(generation) + string(member) +
                                array([string(name) + blob(data) for name, data in assignments])))

    with suite.connect() as one, suite.connect() as other:
        _, generation, _, first = joined("led", connection=one)
        joined("led", connection=other, wait=False)
        beat = string("led") + int32(generation) + string(first)
        deadline = time.monotonic() + 10
        while one.ask(HEARTBEAT, 0, beat).int16() != REBALANCE_IN_PROGRESS and time.monotonic() < deadline:
            pass
        joined("led", connection=one, member=first, wait=False)
        _, generation, leader, _ = read_join(one)
        second = read_join(other)[3]
        wrong = expect(first, leader)
        if wrong:
            return wrong
        sync(other, generation, second, [(first, b"stolen"), (second, b"stolen")])
        sync(one, generation, first, [(first, b"mine"), (second, b"yours")])
        for connection, assignment in ((one, b"mine"), (other, b"yours")):
            reader = connection.answer()
            wrong = expect((0, assignment), (reader.int16(), reader.blob()))
            if wrong:
                return wrong
    return None


@case("a committed offset's metadata of a mebibyte closes the connection")
def huge_metadata():
    body = compact("g") + int32(-1) + compact("") + compact(None) + compact_array(
        [compact("requests") + compact_array([int32(0) + int64(1) + int32(-1) + compact("m" * (1 << 20)) + NO_TAGS]) +
         NO_TAGS]) + NO_TAGS
    with suite.connect() as connection:
        connection.send(request(OFFSET_COMMIT, 8, body))
        return None if connection.closes() else "the connection is open"


@case("OffsetFetch of 100,000 partitions nobody committed is answered", memory_max=128 << 20)
def fetch_unknown_offsets():
    with suite.connect(timeout=30) as connection:
        reader = connection.ask(OFFSET_FETCH, 1, string("nobody") + array(
            [string("requests") + array([int32(n) for n in range(100000)])]))
        reader.int32(), reader.string()
        return expect(100000, reader.int32())


# ---- producer ids, transactions ----

@case("20,000 producer ids asked for at once are all different, and memory stays", memory_max=16 << 20)
def producer_flood():
    ask = request(INIT_PRODUCER_ID, 0, string(None) + int32(1000))
    seen = set()
    with suite.connect(timeout=30) as connection:
        for _ in range(200):
            connection.send(ask * 100)
            for _ in range(100):
                reader = connection.answer()
                reader.int32()
                if reader.int16():
                    return "an error"
                seen.add(reader.int64())
    return expect(20000, len(seen))


@case("transactions, which are not offered, are refused and not begun")
def transactions():
    with suite.connect() as connection:
        for timeout in (60000, HUGE, -1):
            reader = connection.ask(INIT_PRODUCER_ID, 0, string("bank") + int32(timeout))
            reader.int32()
            wrong = expect((50, 53), reader.int16())
            if wrong:
                return wrong
        reader = connection.ask(INIT_PRODUCER_ID, 0, string("") + int32(1000))
        reader.int32()
        wrong = expect(INVALID_REQUEST, reader.int16())
        if wrong:
            return wrong
    for api, version in ((24, 0), (25, 0), (26, 0), (28, 0), (WRITE_TXN_MARKERS, 1)):
        with suite.connect() as connection:
            connection.send(request(api, version, bytes(40)))
            if not connection.closes():
                return f"API {api} did not close the connection"
    return None


@case("transactional records under a foreign transactional id are refused")
def foreign_transaction():
    records = batch(producer=5, epoch=0, sequence=0, attributes=0x10)
    for identity in ("bank", None):
        got = kafka.produce(suite.healthy, "requests", records, transactional_id=identity)
        wrong = expect((48, 53, 87), got[0])
        if wrong:
            return f"{identity}: {wrong}"
    return None


@case("descriptors are back to what they were")
def descriptors():
    return None if len(os.listdir(f"/proc/{suite.pid}/fd")) < 400 else "more than 400 are open"


if __name__ == "__main__":
    sys.exit(suite.run())
