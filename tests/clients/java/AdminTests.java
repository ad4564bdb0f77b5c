// SPDX-License-Identifier: Apache-2.0
// Administration through the Java client.

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

final class AdminTests {
    private AdminTests() {
    }

    static void topicsChange(Admin admin) throws Exception {
        String topic = Suite.create(admin, "admin", 2);
        Checks.checkRefused(() -> admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get(),
            TopicExistsException.class, "a topic that exists is refused");
        Checks.checkRefused(() -> admin.createTopics(List.of(new NewTopic("no/name", 1, (short) 1))).all().get(),
            InvalidTopicException.class, "a name that is no topic name is refused");
        Checks.checkRefused(() -> admin.createTopics(List.of(new NewTopic(Suite.name("copies"), 1, (short) 3))).all().get(),
            InvalidReplicationFactorException.class, "more copies than nodes are refused");
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        Checks.check(Checks.waitFor(10, () -> partitionsOf(admin, topic) == 5), "a topic grows to five");
        Checks.checkRefused(() -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get(),
            InvalidPartitionsException.class, "and does not shrink");
        TopicPartition place = new TopicPartition(topic, 4);
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 4, 0, 100, System.currentTimeMillis() - 200000);
        }
        DescribeProducersResult.PartitionProducerState state =
            admin.describeProducers(List.of(place)).partitionResult(place).get();
        Checks.checkEqual(state.activeProducers().size(), 1, "one active producer is described");
        Checks.checkEqual(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(60))).lowWatermarks()
            .get(place).get().lowWatermark(), 60L, "records before 60 are deleted");
        Checks.checkEqual(offset(admin, place, OffsetSpec.earliest()), 60L, "and the log starts at 60");
        Checks.checkEqual(offset(admin, place, OffsetSpec.latest()), 100L, "it ends at 100");
        Checks.checkEqual(offset(admin, place, OffsetSpec.maxTimestamp()), 99L, "its largest time is at 99");
        Checks.check(Checks.areNumbers(Suite.read(topic, 4, 60, 40), 60, 40, 60), "and reading starts at 60");
        long size = 0;
        for (Map<String, org.apache.kafka.clients.admin.LogDirDescription> dirs
                : admin.describeLogDirs(List.of(admin.describeCluster().nodes().get().iterator().next().id()))
                    .allDescriptions().get().values()) {
            for (var dir : dirs.values()) {
                ReplicaInfo replica = dir.replicaInfos().get(place);
                size += replica == null ? 0 : replica.size();
            }
        }
        Checks.check(size > 0, "log directories tell the partition's size", size);
        admin.deleteTopics(List.of(topic)).all().get();
        Checks.check(Checks.waitFor(10, () -> partitionsOf(admin, topic) == 0), "a deleted topic is not described");
        Checks.checkRefused(() -> admin.deleteTopics(List.of(topic)).all().get(),
            UnknownTopicOrPartitionException.class, "and is unknown after that");
    }

    private static int partitionsOf(Admin admin, String topic) {
        try {
            return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        } catch (Exception error) {
            return 0;
        }
    }

    private static long offset(Admin admin, TopicPartition place, OffsetSpec spec) throws Exception {
        ListOffsetsResultInfo found = admin.listOffsets(Map.of(place, spec)).partitionResult(place).get();
        return found.offset();
    }

    private static String configOf(Admin admin, ConfigResource resource, String key) {
        try {
            return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(key).value();
        } catch (Exception error) {
            return error.toString();
        }
    }

    private static void alter(Admin admin, ConfigResource resource, String key, String value,
                              AlterConfigOp.OpType operation) throws Exception {
        Collection<AlterConfigOp> changes = List.of(new AlterConfigOp(new ConfigEntry(key, value), operation));
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
    }

    static void configsChange(Admin admin) throws Exception {
        String topic = Suite.create(admin, "configs", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        alter(admin, resource, "retention.ms", "987654321", AlterConfigOp.OpType.SET);
        Checks.check(Checks.waitFor(10, () -> configOf(admin, resource, "retention.ms").equals("987654321")),
            "a configuration set reads back");
        alter(admin, resource, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        Checks.check(Checks.waitFor(10, () -> configOf(admin, resource, "cleanup.policy").equals("delete,compact")),
            "a list appended to reads back");
        Checks.checkRefused(() -> alter(admin, resource, "retention.ms", "soon", AlterConfigOp.OpType.SET),
            InvalidConfigurationException.class, "a value that is no number is refused");
        Checks.checkRefused(() -> alter(admin, resource, "retention.moons", "1", AlterConfigOp.OpType.SET),
            InvalidConfigurationException.class, "an unknown key is refused");
        alter(admin, resource, "cleanup.policy", null, AlterConfigOp.OpType.DELETE);
        Checks.check(Checks.waitFor(10, () -> configOf(admin, resource, "cleanup.policy").equals("delete")),
            "a configuration deleted has its default again");
        ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
        Checks.checkEqual(entry.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source is told");
        String node = String.valueOf(admin.describeCluster().nodes().get().iterator().next().id());
        Checks.checkEqual(configOf(admin, new ConfigResource(ConfigResource.Type.BROKER, node), "num.partitions"), "3",
            "the node's configuration is described");
    }

    static void groupsChange(Admin admin) throws Exception {
        String topic = Suite.create(admin, "group-admin", 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 0, 0, 100, null);
        }
        admin.alterConsumerGroupOffsets(topic, Map.of(place, new OffsetAndMetadata(44))).all().get();
        try (KafkaConsumer<String, String> member = Suite.consumer("group.id", topic, "client.id", "watched")) {
            member.subscribe(List.of(topic));
            Checks.check(Checks.areNumbers(Suite.poll(member, 56), 44, 56, 44), "a member reads from the offset set");
            ConsumerGroupDescription described =
                admin.describeConsumerGroups(List.of(topic)).all().get().get(topic);
            Checks.checkEqual(described.groupState() + " " + described.members().iterator().next().clientId() + " "
                + described.members().iterator().next().assignment().topicPartitions(),
                "Stable watched [" + place + "]", "the group is described with its member and partition");
            Checks.checkRefused(() -> admin.deleteConsumerGroups(List.of(topic)).all().get(),
                GroupNotEmptyException.class, "a group with members is not deleted");
        }
        Checks.checkEqual(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(place).offset(),
            100L, "its member committed the end when it left");
        Checks.check(admin.listGroups().all().get().stream().map(GroupListing::groupId).anyMatch(topic::equals),
            "the group is listed");
        admin.deleteConsumerGroupOffsets(topic, Set.of(place)).all().get();
        Checks.checkEqual(admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().get(place), null,
            "a group's offset is deleted");
        admin.alterConsumerGroupOffsets(topic, Map.of(place, new OffsetAndMetadata(1))).all().get();
        admin.deleteConsumerGroups(List.of(topic)).all().get();
        Checks.check(admin.listGroups().all().get().stream().map(GroupListing::groupId).noneMatch(topic::equals),
            "a deleted group is not listed");
        Checks.checkRefused(() -> admin.deleteConsumerGroups(List.of(topic)).all().get(),
            GroupIdNotFoundException.class, "and is not found after that");
    }
}
