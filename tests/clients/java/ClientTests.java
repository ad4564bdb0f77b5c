// SPDX-License-Identifier: Apache-2.0
// Records and groups through the Java client.

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;

final class ClientTests {
    static final int PARTITIONS = 6;
    static final int ROUND = 100;

    private ClientTests() {
    }

    static void recordsComeBack(Admin admin) throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String topic = Suite.create(admin, "codec-" + codec, 2);
            try (KafkaProducer<String, String> producer = Suite.producer("compression.type", codec, "linger.ms", 20)) {
                Checks.checkEqual(Suite.produce(producer, topic, 1, 0, 1000, null), 999L,
                    codec + ": offsets are answered");
            }
            Checks.check(Checks.areNumbers(Suite.read(topic, 1, 0, 1000), 0, 1000, 0),
                codec + ": keys, values and headers come back in order");
        }
        for (String acks : List.of("0", "1", "all")) {
            String topic = Suite.create(admin, "acks-" + acks, 1);
            try (KafkaProducer<String, String> producer = Suite.producer("acks", acks, "enable.idempotence", false,
                    "max.in.flight.requests.per.connection", 1)) {
                Suite.produce(producer, topic, 0, 0, 500, null);
            }
            Checks.check(Checks.areNumbers(Suite.read(topic, 0, 0, 500), 0, 500, 0), "acks=" + acks);
        }
        String topic = Suite.create(admin, "idempotent", 1);
        try (KafkaProducer<String, String> producer = Suite.producer("enable.idempotence", true, "batch.size", 200,
                "linger.ms", 0)) {
            Suite.produce(producer, topic, 0, 0, 3000, null);
        }
        Checks.check(Checks.areNumbers(Suite.read(topic, 0, 0, 3000), 0, 3000, 0),
            "an idempotent producer with small batches");
        Checks.check(Checks.areNumbers(Suite.read(topic, 0, 1234, 1766, "max.partition.fetch.bytes", 500,
            "fetch.max.bytes", 2000, "isolation.level", "read_committed"), 1234, 1766, 1234),
            "small fetches of what is committed get all of it");
        oddValues(admin);
    }

    private static void oddValues(Admin admin) throws Exception {
        String topic = Suite.create(admin, "odd", 1);
        try (KafkaProducer<String, String> producer = Suite.producer("max.request.size", 3000000)) {
            producer.send(new ProducerRecord<>(topic, 0, "null", null)).get();
            producer.send(new ProducerRecord<>(topic, 0, null, "")).get();
            producer.send(new ProducerRecord<>(topic, 0, null, "x".repeat(900000))).get();
            Checks.checkRefused(() -> producer.send(new ProducerRecord<>(topic, 0, null, "y".repeat(1100000))).get(),
                RecordTooLargeException.class, "a record above max.message.bytes is refused");
        }
        List<ConsumerRecord<String, String>> records = Suite.read(topic, 0, 0, 3);
        Checks.check(records.size() == 3 && records.get(0).value() == null && "null".equals(records.get(0).key())
            && records.get(1).key() == null && records.get(1).value().isEmpty()
            && records.get(2).value().length() == 900000, "null, empty and large values come back");
    }

    static void offsetsAndTimes(Admin admin) throws Exception {
        String topic = Suite.create(admin, "time", 1);
        TopicPartition place = new TopicPartition(topic, 0);
        long base = System.currentTimeMillis() - 500000;
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 0, 0, 100, base);
        }
        try (KafkaConsumer<String, String> consumer = Suite.consumer()) {
            Checks.checkEqual(consumer.beginningOffsets(List.of(place)).get(place), 0L, "the beginning offset");
            Checks.checkEqual(consumer.endOffsets(List.of(place)).get(place), 100L, "the end offset");
            var found = consumer.offsetsForTimes(Map.of(place, base + 41500)).get(place);
            Checks.checkEqual(found.offset() + " " + found.timestamp(), "42 " + (base + 42000),
                "the offset and time between two times");
            Checks.checkEqual(consumer.offsetsForTimes(Map.of(place, base + 99001)).get(place), null,
                "no offset after the last time");
        }
        boolean same = true;
        for (ConsumerRecord<String, String> record : Suite.read(topic, 0, 0, 100)) {
            same = same && record.timestamp() == base + record.offset() * 1000;
        }
        Checks.check(same, "times come back as they were given");
    }

    /** One consumer of a group in a thread of its own, committing automatically. */
    private static final class Member implements Runnable, ConsumerRebalanceListener {
        final List<ConsumerRecord<String, String>> records = Collections.synchronizedList(new ArrayList<>());
        final AtomicBoolean stopping = new AtomicBoolean();
        final KafkaConsumer<String, String> consumer;
        final Thread thread = new Thread(this);
        volatile int owned = 0;
        volatile Throwable error = null;

        Member(String topic, String assignor) {
            consumer = Suite.consumer("group.id", topic, "partition.assignment.strategy", assignor,
                "max.poll.records", 50);
            consumer.subscribe(List.of(topic), this);
            thread.start();
        }

        @Override
        public void run() {
            try {
                while (!stopping.get()) {
                    consumer.poll(Duration.ofMillis(100)).forEach(records::add);
                    owned = consumer.assignment().size();
                }
                consumer.close();
            } catch (Throwable failure) {
                error = failure;
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> places) {
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            consumer.commitSync();
        }

        void stop() throws InterruptedException {
            stopping.set(true);
            thread.join(30000);
        }
    }

    private static int total(List<Member> members) {
        return members.stream().mapToInt(member -> member.records.size()).sum();
    }

    private static boolean shared(List<Member> members) {
        return members.stream().allMatch(member -> member.owned == PARTITIONS / members.size());
    }

    static void groupsShare(Admin admin) throws Exception {
        String place = "org.apache.kafka.clients.consumer.";
        for (String assignor : List.of("RangeAssignor", "RoundRobinAssignor", "StickyAssignor",
                "CooperativeStickyAssignor")) {
            groupShares(Suite.create(admin, assignor, PARTITIONS), assignor, place + assignor);
        }
    }

    static void groupShares(String topic, String words, String assignor) throws Exception {
        List<Member> members = new ArrayList<>(List.of(new Member(topic, assignor), new Member(topic, assignor)));
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            produceRound(producer, topic, 0);
            Checks.check(Checks.waitFor(40, () -> total(members) >= PARTITIONS * ROUND), words + ": two members read");
            Checks.check(Checks.waitFor(40, () -> shared(members)), words + ": each has three partitions");
            members.add(new Member(topic, assignor));
            Checks.check(Checks.waitFor(40, () -> shared(members)), words + ": a third joins and each has two");
            produceRound(producer, topic, 1);
            Checks.check(Checks.waitFor(40, () -> total(members) >= 2 * PARTITIONS * ROUND),
                words + ": three members read");
            members.get(1).stop();
            Checks.check(Checks.waitFor(40, () -> shared(List.of(members.get(0), members.get(2)))),
                words + ": one leaves and the others have three");
            produceRound(producer, topic, 2);
            Checks.check(Checks.waitFor(40, () -> total(members) >= 3 * PARTITIONS * ROUND),
                words + ": those left read the rest");
        }
        members.get(0).stop();
        members.get(2).stop();
        Checks.checkEqual(members.stream().filter(member -> member.error != null).map(member -> member.error)
            .collect(Collectors.toList()), List.of(), words + ": every member ended without error");
        Checks.checkMembers(words, members.stream().map(member -> member.records).collect(Collectors.toList()),
            PARTITIONS, 3 * ROUND);
    }

    static void produceRound(KafkaProducer<String, String> producer, String topic, int round) throws Exception {
        for (int partition = 0; partition < PARTITIONS; partition++) {
            Suite.produce(producer, topic, partition, round * ROUND, ROUND, null);
        }
    }

    static void groupsResume(Admin admin) throws Exception {
        for (boolean autoCommit : new boolean[] {true, false}) {
            for (String instance : autoCommit ? List.of("") : List.of("", "one")) {
                groupResumes(Suite.create(admin, "resume-" + autoCommit + instance, 1), autoCommit, instance);
            }
        }
    }

    private static void groupResumes(String topic, boolean autoCommit, String instance) throws Exception {
        String words = "auto commit " + autoCommit + ", static id \"" + instance + "\": ";
        TopicPartition place = new TopicPartition(topic, 0);
        List<Object> pairs = new ArrayList<>(List.of("group.id", topic, "enable.auto.commit", autoCommit,
            "max.poll.records", 60));
        if (!instance.isEmpty()) {
            pairs.addAll(List.of("group.instance.id", instance));
        }
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 0, 0, 300, null);
        }
        try (KafkaConsumer<String, String> first = Suite.consumer(pairs.toArray())) {
            first.subscribe(List.of(topic));
            Checks.check(Checks.areNumbers(Suite.poll(first, 120), 0, 120, 0), words + "reads 120 records");
            if (!autoCommit) {
                first.commitSync(Map.of(place, new OffsetAndMetadata(120, "by hand")));
                OffsetAndMetadata committed = first.committed(java.util.Set.of(place)).get(place);
                Checks.checkEqual(committed.offset() + committed.metadata(), "120by hand", words + "a commit reads back");
            }
        }
        try (KafkaConsumer<String, String> second = Suite.consumer(pairs.toArray())) {
            second.subscribe(List.of(topic));
            Checks.check(Checks.areNumbers(Suite.poll(second, 180), 120, 180, 120),
                words + "resumes at the 121st after a restart");
        }
    }
}
