# SPDX-License-Identifier: Apache-2.0
"""kafka-python against a broker: kafka_python_test.py HOST:PORT PREFIX."""
import os
import sys
import time
import traceback

import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors
from kafka.admin import ConfigResource, KafkaAdminClient, OffsetSpec
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import OffsetAndMetadata

from checks import (check, check_equal, check_raises, check_rebalances, conclude, number, wait_for)

BOOTSTRAP, PREFIX = sys.argv[1:]


def name_of(words):
    return f"{PREFIX}.{words}"


def create(admin, topic, partitions):
    admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": int(os.environ.get("REPLICATION", "1"))}},
                        wait_for_metadata=True)


def produce(producer, topic, partition, first, count, timestamp_ms=None):
    """Sends numbered records and waits for all; returns their offsets in order."""
    sent = []
    for n in range(first, first + count):
        key, value, headers = number(n)
        sent.append(producer.send(topic, key=key, value=value, headers=headers, partition=partition,
                                  timestamp_ms=None if timestamp_ms is None else timestamp_ms + n * 1000))
    producer.flush(30)
    return [future.get(30).offset for future in sent]


def read(topic, partition, start, count, **settings):
    """Reads `count` records of a partition from an offset, outside any group."""
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, enable_auto_commit=False, **settings)
    place = TopicPartition(topic, partition)
    consumer.assign([place])
    consumer.seek(place, start)
    records = []
    deadline = time.monotonic() + 15
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=200).values():
            records.extend(batch)
    consumer.close()
    return records


def are_numbers(records, first, count, offset):
    return [(record.offset, record.key, record.value, [tuple(header) for header in record.headers])
            for record in records] == \
        [(offset + i, *number(first + i)) for i in range(count)]


def records_come_back(admin):
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        topic = name_of(f"codec-{codec}")
        create(admin, topic, 2)
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, acks="all", linger_ms=20)
        offsets = produce(producer, topic, 1, 0, 500)
        check_equal(offsets, list(range(500)), f"{codec}: offsets are answered in order")
        producer.close()
        check(are_numbers(read(topic, 1, 0, 500), 0, 500, 0), f"{codec}: keys, values and headers come back in order")
    for acks in (0, 1, "all"):
        topic = name_of(f"acks-{acks}")
        create(admin, topic, 1)
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks=acks, enable_idempotence=False,
                                 max_in_flight_requests_per_connection=1)
        produce(producer, topic, 0, 0, 500)
        producer.close()
        check(are_numbers(read(topic, 0, 0, 500), 0, 500, 0), f"acks={acks}")
    check(are_numbers(read(name_of("acks-all"), 0, 123, 377), 123, 377, 123),
          "reading starts in the middle of a batch")
    topic = name_of("idempotent")
    create(admin, topic, 1)
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, batch_size=300, linger_ms=0)
    produce(producer, topic, 0, 0, 1000)
    producer.close()
    check(are_numbers(read(topic, 0, 0, 1000), 0, 1000, 0), "an idempotent producer")


def nulls_and_sizes(admin):
    topic = name_of("odd")
    create(admin, topic, 1)
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, max_request_size=3000000)
    producer.send(topic, key=b"null", value=None, partition=0).get(20)
    producer.send(topic, key=None, value=b"", partition=0).get(20)
    producer.send(topic, value=b"x" * 900000, partition=0).get(20)
    check_raises(errors.MessageSizeTooLargeError, "a record above max.message.bytes is refused",
                 lambda: producer.send(topic, value=b"y" * 1100000, partition=0).get(20))
    producer.close()
    records = read(topic, 0, 0, 3, fetch_max_bytes=1000, max_partition_fetch_bytes=1000)
    check_equal([(record.key, record.value if record.offset < 2 else len(record.value)) for record in records],
                [(b"null", None), (None, b""), (None, 900000)],
                "null, empty and large values come back, one batch at least a fetch")


def offsets_and_times(admin):
    topic = name_of("time")
    create(admin, topic, 1)
    base = int(time.time() * 1000) - 500000
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    produce(producer, topic, 0, 0, 100, base)
    producer.close()
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    check_equal(consumer.beginning_offsets([place])[place], 0, "the beginning offset")
    check_equal(consumer.end_offsets([place])[place], 100, "the end offset")
    found = consumer.offsets_for_times({place: base + 41500})[place]
    check_equal((found.offset, found.timestamp), (42, base + 42000), "the offset between two times")
    check_equal(consumer.offsets_for_times({place: base + 99001})[place], None, "no offset after the last time")
    consumer.close()
    check_equal([record.timestamp for record in read(topic, 0, 0, 100)], [base + n * 1000 for n in range(100)],
                "times come back as they were given")
    specs = {"earliest": (OffsetSpec.EARLIEST, 0), "latest": (OffsetSpec.LATEST, 100),
             "of the largest time": (OffsetSpec.MAX_TIMESTAMP, 99)}
    for words, (spec, offset) in specs.items():
        check_equal(admin.list_partition_offsets({place: spec})[place].offset, offset, f"list offsets: {words}")


class GroupClient:
    """A member as checks.check_rebalances wants it."""

    def __init__(self, topic, group, assignor):
        self.consumer = KafkaConsumer(
            topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
            session_timeout_ms=6000, heartbeat_interval_ms=300, partition_assignment_strategy=[assignor],
            max_poll_records=50)

    def poll(self):
        return [(record.partition, record.offset, record.key, record.value)
                for batch in self.consumer.poll(timeout_ms=100).values() for record in batch]

    def partitions_assigned(self):
        return len(self.consumer.assignment())

    def close(self):
        self.consumer.close()


def groups_share(admin):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True)
    assignors = (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor)
    for assignor in assignors[-1 if "KILL_LEADER" in os.environ else 0:]:
        topic = name_of(f"group-{assignor.name}")
        create(admin, topic, 6)

        def produce_round(first, count, topic=topic):
            for partition in range(6):
                produce(producer, topic, partition, first, count)

        check_rebalances(assignor.name, lambda: GroupClient(topic, topic, assignor), produce_round)
    producer.close()


def read_in_group(topic, count, auto_commit, static_id):
    consumer = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=topic, auto_offset_reset="earliest",
                             enable_auto_commit=auto_commit, group_instance_id=static_id, max_poll_records=10)
    records = []
    deadline = time.monotonic() + 30
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=100, max_records=min(10, count - len(records))).values():
            records.extend(batch)
    if not auto_commit:
        consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(records[-1].offset + 1, "by hand", -1)})
        committed = consumer.committed(TopicPartition(topic, 0), metadata=True)
        check_equal((committed.offset, committed.metadata), (records[-1].offset + 1, "by hand"),
                    "a commit by hand reads back with its metadata")
    consumer.close()
    return records


def groups_resume(admin):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True)
    for auto_commit, static_id in ((True, None), (False, None), (False, "one")):
        words = f"auto commit {auto_commit}, static id {static_id}"
        topic = name_of(f"resume-{auto_commit}-{static_id}")
        create(admin, topic, 1)
        produce(producer, topic, 0, 0, 300)
        check(are_numbers(read_in_group(topic, 120, auto_commit, static_id), 0, 120, 0), f"{words}: reads 120 records")
        check(are_numbers(read_in_group(topic, 180, auto_commit, static_id), 120, 180, 120),
              f"{words}: resumes at the 121st after a restart")
    producer.close()


def topics_change(admin):
    topic = name_of("admin")
    create(admin, topic, 2)
    check(topic in admin.list_topics(), "a new topic is listed")
    check_raises(errors.TopicAlreadyExistsError, "a topic that exists is refused", create, admin, topic, 2)
    check_raises(errors.InvalidTopicError, "a name that is no topic name is refused", create, admin, "no/name", 1)
    check_raises(errors.InvalidReplicationFactorError, "more copies than nodes are refused", admin.create_topics,
                 {name_of("copies"): {"num_partitions": 1, "replication_factor": 3}})
    admin.create_topics({name_of("dry"): {"num_partitions": 1}}, validate_only=True)
    check(name_of("dry") not in admin.list_topics(), "validate only creates nothing")
    admin.create_partitions({topic: 5})
    check(wait_for(lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 5, 10), "a topic grows to five")
    described = admin.describe_topic_partitions([topic])["topics"][0]
    check_equal(sorted(part["partition_index"] for part in described["partitions"]), list(range(5)),
                "described partition by partition")
    check_raises(errors.InvalidPartitionsError, "and does not shrink", admin.create_partitions, {topic: 3})
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True)
    produce(producer, topic, 4, 0, 100)
    states = admin.describe_producers([TopicPartition(topic, 4)])[TopicPartition(topic, 4)]
    check(len(states.active_producers if hasattr(states, "active_producers") else states[0]) == 1,
          "one active producer is described", f"({states})")
    producer.close()
    admin.delete_records({TopicPartition(topic, 4): 60})
    check_equal([record.offset for record in read(topic, 4, 60, 40)], list(range(60, 100)),
                "records before 60 are deleted")
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    check_equal(consumer.beginning_offsets([TopicPartition(topic, 4)])[TopicPartition(topic, 4)], 60,
                "and the log starts at 60")
    consumer.close()
    sizes = [part["partition_size"] for broker in admin.describe_log_dirs([topic]) for log_dir in broker["log_dirs"]
             for found in log_dir["topics"] for part in found["partitions"] if part["partition_index"] == 4]
    check(len(sizes) == 1 and sizes[0] > 0, "log directories tell the partition's size", f"({sizes})")
    admin.delete_topics([topic])
    check(wait_for(lambda: topic not in admin.list_topics(), 10), "a deleted topic is not listed")
    check_raises(errors.UnknownTopicOrPartitionError, "and is unknown after that", admin.delete_topics, [topic])


def configs_change(admin):
    topic = name_of("configs")
    admin.create_topics({topic: {"num_partitions": 1, "configs": {"cleanup.policy": "compact"}}})

    def value_of(key):
        found = admin.describe_configs([ConfigResource("TOPIC", topic, {key: None})], config_filter="all")
        found = found["topic" if "topic" in found else "TOPIC"][topic][key]
        return found["value"] if isinstance(found, dict) else found

    check_equal(value_of("cleanup.policy"), "compact", "a configuration given at creation")
    check_equal(value_of("segment.bytes"), "1073741824", "segment.bytes has Kafka's default")
    admin.alter_configs([ConfigResource("TOPIC", topic, {"retention.ms": "987654321"})])
    check_equal(value_of("retention.ms"), "987654321", "a configuration set")
    admin.alter_configs([ConfigResource("TOPIC", topic, {"cleanup.policy": ("APPEND", "delete")})])
    check_equal(value_of("cleanup.policy"), "compact,delete", "a list appended to")
    try:
        refused = str(admin.alter_configs([ConfigResource("TOPIC", topic, {"retention.ms": "soon"})]))
    except errors.KafkaError as error:
        refused = repr(error)
    check("nvalid" in refused, "a value that is no number is refused", f"({refused})")
    check_equal(value_of("retention.ms"), "987654321", "and leaves what was there")
    admin.reset_configs([ConfigResource("TOPIC", topic, {"cleanup.policy": None})])
    check_equal(value_of("cleanup.policy"), "delete", "a configuration reset to its default")


def groups_change(admin):
    topic, group = name_of("group-admin"), name_of("group-admin")
    create(admin, topic, 1)
    place = TopicPartition(topic, 0)
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    produce(producer, topic, 0, 0, 100)
    producer.close()
    admin.alter_group_offsets(group, {place: OffsetAndMetadata(33, "set", -1)})
    check_equal(admin.list_group_offsets([group])[group][place].offset, 33, "a group's offset is set and read back")
    check_equal(admin.reset_group_offsets(group, {place: OffsetSpec.LATEST})[place]["offset"], 100, "and reset")
    check(group in [found["group_id"] for found in admin.list_groups()], "the group is listed")
    member = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, client_id="watched")
    check(wait_for(lambda: member.poll(timeout_ms=50) is not None and member.assignment(), 30), "a member joins")
    described = admin.describe_groups([group])[group]
    check_equal((described["group_state"].lower(), [found["client_id"] for found in described["members"]]),
                ("stable", ["watched"]), "the group is described with its member")
    refused = admin.delete_groups([group])
    check("NonEmptyGroup" in str(refused) or "NON_EMPTY" in str(refused), "a group with members is not deleted",
          f"({refused})")
    member.close()
    check_equal(admin.describe_groups([group])[group]["group_state"].lower(), "empty", "it is empty when all left")
    admin.delete_group_offsets(group, [place])
    check(place not in admin.list_group_offsets([group])[group], "a group's offset is deleted")
    admin.delete_groups([group])
    check(group not in [found["group_id"] for found in admin.list_groups()], "a deleted group is not listed")


def main():
    print("kafka-python", kafka.__version__)
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    tests = (records_come_back, nulls_and_sizes, offsets_and_times, groups_resume, topics_change,
             configs_change, groups_change, groups_share)
    if "KILL_LEADER" in os.environ:  # Three nodes.
        tests = (records_come_back, nulls_and_sizes, groups_resume, groups_share)
    for test in tests:
        try:
            test(admin)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            check(False, f"{test.__name__} came to its end", f"({error!r})")
    admin.close()
    conclude()


main()
