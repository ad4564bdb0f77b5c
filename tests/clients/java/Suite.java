// SPDX-License-Identifier: Apache-2.0
// Apache Kafka's Java client and tools against a broker, all in one virtual machine: Suite HOST:PORT PREFIX.

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Suite {
    static String bootstrap;
    static String prefix;

    private Suite() {
    }

    static String name(String words) {
        return prefix + "." + words;
    }

    /** bootstrap.servers and these: key, value, key, value... */
    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put((String) pairs[i], pairs[i + 1]);
        }
        return settings;
    }

    static KafkaProducer<String, String> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Object... pairs) {
        Map<String, Object> settings = settings("auto.offset.reset", "earliest", "session.timeout.ms", 6000,
            "heartbeat.interval.ms", 300, "fetch.max.wait.ms", 100);
        settings.putAll(settings(pairs));
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** Set where a leader can be killed: there are three nodes then. */
    static final String KILL_LEADER = System.getenv("KILL_LEADER");

    static short replication() {
        return Short.parseShort(System.getenv().getOrDefault("REPLICATION", "1"));
    }

    static String create(Admin admin, String words, int partitions) throws Exception {
        String topic = name(words);
        admin.createTopics(List.of(new NewTopic(topic, partitions, replication()))).all().get();
        Checks.waitFor(10, () -> {
            try {
                return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size() == partitions;
            } catch (Exception error) {
                return false;
            }
        });
        return topic;
    }

    /** Sends numbered records, waits for all of them and returns the last one's offset. */
    static long produce(KafkaProducer<String, String> producer, String topic, int partition, int first, int count,
                        Long timestampMs) throws Exception {
        List<java.util.concurrent.Future<org.apache.kafka.clients.producer.RecordMetadata>> sent = new ArrayList<>();
        for (int n = first; n < first + count; n++) {
            Long time = timestampMs == null ? null : timestampMs + n * 1000L;
            sent.add(producer.send(Checks.number(topic, partition, n, time)));
        }
        producer.flush();
        long offset = -1;
        for (var future : sent) {
            offset = future.get().offset();
        }
        return offset;
    }

    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (records.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        return records;
    }

    /** Reads count records of a partition from an offset, outside any group. */
    static List<ConsumerRecord<String, String>> read(String topic, int partition, long offset, int count,
                                                     Object... pairs) {
        try (KafkaConsumer<String, String> consumer = consumer(pairs)) {
            TopicPartition place = new TopicPartition(topic, partition);
            consumer.assign(Set.of(place));
            consumer.seek(place, offset);
            return poll(consumer, count);
        }
    }

    interface Test {
        void run(Admin admin) throws Exception;
    }

    static void run(Admin admin, String words, Test test) {
        try {
            test.run(admin);
        } catch (Throwable error) {
            error.printStackTrace();
            Checks.check(false, words + " came to its end", error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        prefix = arguments[1];
        if (KILL_LEADER != null) {
            cluster();
        } else {
            node();
        }
        System.out.flush();
        Runtime.getRuntime().halt(Checks.failed == 0 ? 0 : 1);
    }

    private static void cluster() {
        try (Admin admin = Admin.create(settings())) {
            run(admin, "records", ClientTests::recordsComeBack);
            run(admin, "groups", ClusterTests::groupShares);
            run(admin, "failover", ClusterTests::leaderDies);
        }
    }

    private static void node() {
        try (Admin admin = Admin.create(settings())) {
            run(admin, "records", ClientTests::recordsComeBack);
            run(admin, "times", ClientTests::offsetsAndTimes);
            run(admin, "groups", ClientTests::groupsShare);
            run(admin, "resuming", ClientTests::groupsResume);
            run(admin, "administration", AdminTests::topicsChange);
            run(admin, "configurations", AdminTests::configsChange);
            run(admin, "administration of groups", AdminTests::groupsChange);
            run(admin, "tools for topics", ToolTests::topics);
            run(admin, "console tools", ToolTests::console);
            run(admin, "tools for groups", ToolTests::groups);
            run(admin, "tools for configurations", ToolTests::configs);
            run(admin, "tools for offsets", ToolTests::offsets);
            run(admin, "performance tools", ToolTests::performance);
            run(admin, "records for the dump", DumpLog::prepare);
        }
    }
}
