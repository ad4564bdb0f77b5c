// SPDX-License-Identifier: Apache-2.0
// Three nodes: members of a group on all of them, and a leader that is killed under a producer and a group.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;

final class ClusterTests {
    private static final int ROUNDS = 6;

    private ClusterTests() {
    }

    static void groupShares(Admin admin) throws Exception {
        String name = "CooperativeStickyAssignor";
        ClientTests.groupShares(Suite.create(admin, name, ClientTests.PARTITIONS), "three nodes",
            "org.apache.kafka.clients.consumer." + name);
    }

    /** A member that notes the places it has read; after its coordinator died it may read some again. */
    private static Thread member(String topic, Set<String> places, Set<String> wrong, AtomicBoolean stopping) {
        Thread thread = new Thread(() -> {
            try (KafkaConsumer<String, String> consumer = Suite.consumer("group.id", topic, "max.poll.records", 50)) {
                consumer.subscribe(List.of(topic));
                while (!stopping.get()) {
                    consumer.poll(Duration.ofMillis(100)).forEach(record -> {
                        if (Checks.isNumber(record, record.offset())) {
                            places.add(record.partition() + "/" + record.offset());
                        } else {
                            wrong.add(record.toString());
                        }
                    });
                }
            } catch (RuntimeException error) {
                wrong.add(error.toString());
            }
        });
        thread.start();
        return thread;
    }

    static void leaderDies(Admin admin) throws Exception {
        String topic = Suite.create(admin, "failover", ClientTests.PARTITIONS);
        Set<String> places = ConcurrentHashMap.newKeySet();
        Set<String> wrong = ConcurrentHashMap.newKeySet();
        AtomicBoolean stopping = new AtomicBoolean();
        List<Thread> members = List.of(member(topic, places, wrong, stopping), member(topic, places, wrong, stopping));
        int total = ClientTests.PARTITIONS * ClientTests.ROUND * ROUNDS;
        List<Long> last = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Suite.producer("enable.idempotence", true, "request.timeout.ms", 5000,
                "delivery.timeout.ms", 60000, "max.block.ms", 60000)) {
            for (int round = 0; round < ROUNDS; round++) {
                if (round == ROUNDS / 2) {
                    Checks.checkEqual(new ProcessBuilder(Suite.KILL_LEADER, topic).inheritIO().start().waitFor(), 0,
                        "a leader is killed");
                }
                for (int partition = 0; partition < ClientTests.PARTITIONS; partition++) {
                    last.add(Suite.produce(producer, topic, partition, round * ClientTests.ROUND, ClientTests.ROUND, null)
                        + 1 - (round + 1) * ClientTests.ROUND);
                }
            }
        }
        Checks.check(last.stream().allMatch(late -> late == 0), "every record is acknowledged at its place", last);
        for (int partition = 0; partition < ClientTests.PARTITIONS; partition++) {
            Checks.check(Checks.areNumbers(Suite.read(topic, partition, 0, ClientTests.ROUND * ROUNDS), 0,
                ClientTests.ROUND * ROUNDS, 0), "partition " + partition + " has each once, in order");
        }
        Checks.check(Checks.waitFor(40, () -> places.size() >= total), "the group read them all", places.size());
        stopping.set(true);
        for (Thread member : members) {
            member.join(30000);
        }
        Checks.check(wrong.isEmpty(), "and nothing else, without error", wrong);
    }
}
