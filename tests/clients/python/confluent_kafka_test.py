# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka for Python against a broker: confluent_kafka_test.py HOST:PORT PREFIX."""
import os
import sys
import time
import traceback

import confluent_kafka
from confluent_kafka import (Consumer, ConsumerGroupTopicPartitions, KafkaException, OFFSET_BEGINNING, Producer,
                             TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic, OffsetSpec, ResourceType)

from checks import (check, check_equal, check_raises, check_rebalances, conclude, number, wait_for)

BOOTSTRAP, PREFIX = sys.argv[1:]


def name_of(words):
    return f"{PREFIX}.{words}"


def create(admin, topic, partitions, **settings):
    """Creates a topic and waits until metadata shows it."""
    admin.create_topics([NewTopic(topic, partitions, int(os.environ.get("REPLICATION", "1")), **settings)])[topic].result(20)
    assert wait_for(lambda: len(admin.list_topics(timeout=10).topics.get(topic, NewTopic("", 0)).partitions or ())
                    == partitions, 10)


def produce(producer, topic, partition, first, count, timestamp_ms=0):
    """Sends numbered records and waits for all; returns their offsets in order."""
    offsets = []

    def reported(error, message):
        offsets.append(error or message.offset())

    for n in range(first, first + count):
        key, value, headers = number(n)
        producer.produce(topic, value, key, partition, on_delivery=reported, headers=headers,
                         timestamp=timestamp_ms and timestamp_ms + n * 1000)
        producer.poll(0)
    producer.flush(30)
    return offsets


def producer_new(**settings):
    return Producer({"bootstrap.servers": BOOTSTRAP, **{key.replace("_", "."): value
                                                        for key, value in settings.items()}})


def consumer_new(group, **settings):
    return Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
                     "check.crcs": True, "session.timeout.ms": 6000, "heartbeat.interval.ms": 300,
                     **{key.replace("_", "."): value for key, value in settings.items()}})


def consume(consumer, count, seconds=20):
    records = []
    deadline = time.monotonic() + seconds
    while len(records) < count and time.monotonic() < deadline:
        for message in consumer.consume(min(100, count - len(records)), 0.1):
            if message.error():
                raise KafkaException(message.error())
            records.append(message)
    return records


def read(topic, partition, start, count, **settings):
    """Reads `count` records of a partition from an offset, outside any group."""
    consumer = consumer_new("unused", enable_auto_commit=False, **settings)
    consumer.assign([TopicPartition(topic, partition, start)])
    records = consume(consumer, count)
    consumer.close()
    return records


def are_numbers(records, first, count, offset):
    return [(record.offset(), record.key(), record.value(), record.headers()) for record in records] == \
        [(offset + i, *number(first + i)) for i in range(count)]


def records_come_back(admin):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic = name_of(f"codec-{codec}")
        create(admin, topic, 2)
        producer = producer_new(compression_type=codec, linger_ms=20, enable_idempotence=True)
        check_equal(produce(producer, topic, 1, 0, 1000), list(range(1000)), f"{codec}: offsets are answered in order")
        check(are_numbers(read(topic, 1, OFFSET_BEGINNING, 1000), 0, 1000, 0),
              f"{codec}: keys, values and headers come back in order")
    for acks in ("0", "1", "all"):
        topic = name_of(f"acks-{acks}")
        create(admin, topic, 1)
        producer = producer_new(acks=acks, max_in_flight=1)
        produce(producer, topic, 0, 0, 1000)
        check(are_numbers(read(topic, 0, 0, 1000), 0, 1000, 0), f"acks={acks}")
    check(are_numbers(read(name_of("acks-all"), 0, 321, 679), 321, 679, 321), "reading starts in the middle of a batch")
    topic = name_of("idempotent")
    create(admin, topic, 1)
    producer = producer_new(enable_idempotence=True, batch_num_messages=5, linger_ms=0)
    produce(producer, topic, 0, 0, 2000)
    check(are_numbers(read(topic, 0, 0, 2000), 0, 2000, 0), "an idempotent producer")
    check(are_numbers(read(topic, 0, 0, 2000, fetch_max_bytes=2000, max_partition_fetch_bytes=1000,
                           message_max_bytes=1000), 0, 2000, 0), "fetches of a thousand bytes get all of it")


def offsets_and_times(admin):
    topic = name_of("time")
    create(admin, topic, 1)
    base = int(time.time() * 1000) - 500000
    produce(producer_new(), topic, 0, 0, 100, base)
    consumer = consumer_new("unused")
    check_equal(consumer.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 100), "watermarks")

    def offset_at(time_ms):
        return consumer.offsets_for_times([TopicPartition(topic, 0, time_ms)], 10)[0].offset

    check_equal(offset_at(base + 41500), 42, "the offset between two times")
    check_equal(offset_at(base + 99001), -1, "no offset after the last time")
    consumer.close()
    check_equal([record.timestamp()[1] for record in read(topic, 0, 0, 100)],
                [base + n * 1000 for n in range(100)], "times come back as they were given")
    specs = {"earliest": (OffsetSpec.earliest(), 0), "latest": (OffsetSpec.latest(), 100),
             "of the largest time": (OffsetSpec.max_timestamp(), 99),
             "by time": (OffsetSpec.for_timestamp(base + 7000), 7)}
    for words, (spec, offset) in specs.items():
        place = TopicPartition(topic, 0)
        check_equal(admin.list_offsets({place: spec})[place].result(20).offset, offset, f"list offsets: {words}")


class GroupClient:
    """A member as checks.check_rebalances wants it."""

    def __init__(self, topic, group, assignor):
        self.consumer = consumer_new(group, partition_assignment_strategy=assignor)
        self.consumer.subscribe([topic])

    def poll(self):
        return [(message.partition(), message.offset(), message.key(), message.value())
                for message in self.consumer.consume(50, 0.1) if not message.error()]

    def partitions_assigned(self):
        return len(self.consumer.assignment())

    def close(self):
        self.consumer.close()


def groups_share(admin):
    producer = producer_new(enable_idempotence=True)
    for assignor in ("range", "roundrobin", "cooperative-sticky")[-1 if "KILL_LEADER" in os.environ else 0:]:
        topic = name_of(f"group-{assignor}")
        create(admin, topic, 6)

        def produce_round(first, count, topic=topic):
            for partition in range(6):
                produce(producer, topic, partition, first, count)

        check_rebalances(assignor, lambda: GroupClient(topic, topic, assignor), produce_round)


def read_in_group(topic, count, auto_commit, settings):
    consumer = consumer_new(topic, enable_auto_commit=auto_commit, **settings)
    consumer.subscribe([topic])
    records = consume(consumer, count, 30)
    if not auto_commit:
        consumer.commit(offsets=[TopicPartition(topic, 0, records[-1].offset() + 1, metadata="by hand")],
                        asynchronous=False)
        committed = consumer.committed([TopicPartition(topic, 0)], 10)[0]
        check_equal((committed.offset, committed.metadata), (records[-1].offset() + 1, "by hand"),
                    "a commit by hand reads back with its metadata")
    consumer.close()
    return records


def groups_resume(admin):
    producer = producer_new(enable_idempotence=True)
    for auto_commit, settings in ((True, {}), (False, {}), (False, {"group_instance_id": "one"})):
        words = f"auto commit {auto_commit}, {settings or 'dynamic member'}"
        topic = name_of(f"resume-{auto_commit}-{len(settings)}")
        create(admin, topic, 1)
        produce(producer, topic, 0, 0, 300)
        check(are_numbers(read_in_group(topic, 120, auto_commit, settings), 0, 120, 0), f"{words}: reads 120 records")
        check(are_numbers(read_in_group(topic, 180, auto_commit, settings), 120, 180, 120),
              f"{words}: resumes at the 121st after a restart")


def static_member_keeps_its_place(admin):
    """KIP-345: a static member that comes back within its session takes its partitions without a rebalance."""
    topic = name_of("static")
    create(admin, topic, 4)
    generations = []
    other = consumer_new(topic, group_instance_id="other")
    other.subscribe([topic], on_assign=lambda *_: generations.append(1))
    first = consumer_new(topic, group_instance_id="returning", session_timeout_ms=30000)
    first.subscribe([topic])

    def both_share():
        other.poll(0.02)
        first.poll(0.02)
        return len(first.assignment()) == 2 and len(other.assignment()) == 2

    check(wait_for(both_share, 40), "two static members share four partitions")
    before, rebalances = sorted(first.assignment()), len(generations)
    first.close()
    second = consumer_new(topic, group_instance_id="returning", session_timeout_ms=30000)
    second.subscribe([topic])

    def is_back():
        other.poll(0.02)
        second.poll(0.02)
        return len(second.assignment()) == 2

    check(wait_for(is_back, 20), "one of them comes back")
    check_equal([(place.topic, place.partition) for place in sorted(second.assignment())],
                [(place.topic, place.partition) for place in before], "and has the partitions it had")
    check_equal(len(generations), rebalances, "without a rebalance of the other")
    second.close()
    other.close()


def topics_change(admin):
    topic = name_of("admin")
    create(admin, topic, 2)
    check_raises("TOPIC_ALREADY_EXISTS", "a topic that exists is refused", create, admin, topic, 2)
    check_raises("TOPIC_EXCEPTION", "a name that is no topic name is refused", create, admin, "no/name", 1)
    check_raises("INVALID_REPLICATION_FACTOR", "more copies than nodes are refused",
                 admin.create_topics([NewTopic(name_of("copies"), 1, 3)])[name_of("copies")].result, 20)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(20)
    check_equal((described.name, [part.id for part in described.partitions]), (topic, [0, 1]), "a topic is described")
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(20)
    check(wait_for(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == 5, 10),
          "a topic grows to five")
    check_raises("INVALID_PARTITIONS", "and does not shrink",
                 admin.create_partitions([NewPartitions(topic, 3)])[topic].result, 20)
    produce(producer_new(), topic, 4, 0, 100)
    place = TopicPartition(topic, 4, 60)
    check_equal(admin.delete_records([place])[place].result(20).low_watermark, 60, "records before 60 are deleted")
    check(are_numbers(read(topic, 4, OFFSET_BEGINNING, 40), 60, 40, 60), "and reading starts at 60")
    place = TopicPartition(topic, 4, 101)
    check_raises("OFFSET_OUT_OF_RANGE", "deleting beyond the end is refused",
                 admin.delete_records([place])[place].result, 20)
    cluster = admin.describe_cluster().result(20)
    check(len(cluster.nodes) == 1 and cluster.cluster_id, "the cluster is described", f"({cluster})")
    admin.delete_topics([topic])[topic].result(20)
    check(wait_for(lambda: topic not in admin.list_topics(timeout=10).topics, 10), "a deleted topic is not listed")
    check_raises("UNKNOWN_TOPIC_OR_PART", "and is unknown after that", admin.delete_topics([topic])[topic].result, 20)


def configs_change(admin):
    topic = name_of("configs")
    create(admin, topic, 1, config={"cleanup.policy": "compact"})

    def value_of(key):
        asked = ConfigResource(ResourceType.TOPIC, topic)
        return admin.describe_configs([asked])[asked].result(20)[key].value

    def alter(key, value, operation):
        changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[
            ConfigEntry(key, value, incremental_operation=operation)])
        admin.incremental_alter_configs([changed])[changed].result(20)

    check_equal(value_of("cleanup.policy"), "compact", "a configuration given at creation")
    alter("retention.ms", "987654321", AlterConfigOpType.SET)
    check_equal(value_of("retention.ms"), "987654321", "a configuration set")
    alter("cleanup.policy", "delete", AlterConfigOpType.APPEND)
    check_equal(value_of("cleanup.policy"), "compact,delete", "a list appended to")
    alter("cleanup.policy", "compact", AlterConfigOpType.SUBTRACT)
    check_equal(value_of("cleanup.policy"), "delete", "and taken from")
    check_raises("INVALID_CONFIG", "a value that is no number is refused", alter, "retention.ms", "soon",
                 AlterConfigOpType.SET)
    check_raises("INVALID_CONFIG", "an unknown key is refused", alter, "retention.moons", "1", AlterConfigOpType.SET)
    alter("retention.ms", None, AlterConfigOpType.DELETE)
    check(value_of("retention.ms") != "987654321", "a configuration deleted has its default again")
    node = ConfigResource(ResourceType.BROKER, str(next(iter(admin.list_topics(timeout=10).brokers))))
    described = admin.describe_configs([node])[node].result(20)
    check_equal(described["num.partitions"].value, "3", "the node's configuration is described")


def groups_change(admin):
    topic, group = name_of("group-admin"), name_of("group-admin")
    create(admin, topic, 1)
    produce(producer_new(), topic, 0, 0, 100)
    offsets = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 44)])
    admin.alter_consumer_group_offsets([offsets])[group].result(20)

    def offset():
        listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
        return [place.offset for place in listed.topic_partitions]

    check_equal(offset(), [44], "a group's offset is set and read back")
    member = consumer_new(group, client_id="watched")
    member.subscribe([topic])
    check(are_numbers(consume(member, 56), 44, 56, 44), "a member reads from there")
    described = admin.describe_consumer_groups([group])[group].result(20)
    check_equal((described.state.name, [found.client_id for found in described.members],
                 [place.partition for found in described.members for place in found.assignment.topic_partitions]),
                ("STABLE", ["watched"], [0]), "the group is described with its member and partition")
    check_raises("NON_EMPTY_GROUP", "a group with members is not deleted",
                 admin.delete_consumer_groups([group])[group].result, 20)
    check_raises("UNKNOWN_MEMBER_ID", "nor are its offsets set",
                 lambda: [raise_error(place) for place in
                          admin.alter_consumer_group_offsets([offsets])[group].result(20).topic_partitions])
    member.close()
    listed = {found.group_id: found.state.name for found in admin.list_consumer_groups().result(20).valid}
    check_equal(listed.get(group), "EMPTY", "it is listed as empty when all left")
    check_equal(offset(), [100], "at the offset that its member committed")
    admin.delete_consumer_groups([group])[group].result(20)
    check(group not in [found.group_id for found in admin.list_consumer_groups().result(20).valid],
          "a deleted group is not listed")
    check_raises("GROUP_ID_NOT_FOUND", "and is not found after that",
                 admin.delete_consumer_groups([group])[group].result, 20)


def raise_error(place):
    if place.error:
        raise KafkaException(place.error)


def main():
    print("confluent-kafka", confluent_kafka.version(), "librdkafka", confluent_kafka.libversion()[0])
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    tests = (records_come_back, offsets_and_times, groups_resume, static_member_keeps_its_place, topics_change,
             configs_change, groups_change, groups_share)
    if "KILL_LEADER" in os.environ:  # Three nodes.
        tests = (records_come_back, groups_resume, groups_share)
    for test in tests:
        try:
            test(admin)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            check(False, f"{test.__name__} came to its end", f"({error!r})")
    conclude()


main()
