// SPDX-License-Identifier: Apache-2.0
// Apache Kafka's command-line tools: topics, console, groups, configurations, offsets, log directories, performance.

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;

final class ToolTests {
    private static final String TOOLS = "org.apache.kafka.tools.";
    private static final String GROUPS = "consumer.group.ConsumerGroupCommand";

    private ToolTests() {
    }

    /** Runs a tool of kafka-tools with --bootstrap-server and these. */
    private static Tool tool(String name, String... arguments) throws Exception {
        return toolWith("", name, arguments);
    }

    private static Tool toolWith(String input, String name, String... arguments) throws Exception {
        List<String> all = new ArrayList<>(List.of("--bootstrap-server", Suite.bootstrap));
        all.addAll(List.of(arguments));
        return Tool.runWith(input, name.contains("admin") ? name : TOOLS + name, all.toArray(new String[0]));
    }

    private static void check(Tool tool, boolean passed, String words) {
        Checks.check(passed && tool.status == 0, words, "(status " + tool.status + ", said: " + tool.said + ")");
    }

    static void topics(Admin admin) throws Exception {
        String topic = Suite.prefix.replace('.', '-') + "-tool-topic";
        Tool said = tool("TopicCommand", "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=5000000");
        check(said, said.tells("Created topic " + topic), "kafka-topics creates");
        said = tool("TopicCommand", "--create", "--topic", topic);
        Checks.check(said.status != 0 && said.said.contains("already exists"), "and refuses what exists", said.said);
        said = tool("TopicCommand", "--create", "--topic", topic, "--if-not-exists");
        check(said, true, "unless told --if-not-exists");
        said = tool("TopicCommand", "--list");
        check(said, said.lines().contains(topic), "kafka-topics lists");
        said = tool("TopicCommand", "--describe", "--topic", topic);
        check(said, said.tells("Topic: " + topic, "PartitionCount: 2", "ReplicationFactor: 1", "retention.ms=5000000")
            && said.tells("Partition: 1", "Leader: ", "Isr: "), "kafka-topics describes");
        said = tool("TopicCommand", "--alter", "--topic", topic, "--partitions", "4");
        check(said, true, "kafka-topics adds partitions");
        Checks.check(Checks.waitFor(10, () -> describes(topic, "PartitionCount: 4")), "and describes them");
        said = tool("TopicCommand", "--describe", "--topics-with-overrides");
        check(said, said.tells("Topic: " + topic), "kafka-topics tells topics with overrides");
        said = tool("TopicCommand", "--delete", "--topic", topic);
        check(said, true, "kafka-topics deletes");
        Checks.check(Checks.waitFor(10, () -> !describes(topic, "PartitionCount")), "and it is gone");
        said = Tool.run(TOOLS + "BrokerApiVersionsCommand", "--bootstrap-server", Suite.bootstrap);
        check(said, said.tells("Produce(0):") && said.tells("Fetch(1):") && !said.said.contains("ERROR"),
            "kafka-broker-api-versions");
    }

    private static boolean describes(String topic, String text) {
        try {
            return tool("TopicCommand", "--describe", "--topic", topic).tells(text);
        } catch (Exception error) {
            return false;
        }
    }

    private static String lines(String words, int count) {
        return IntStream.range(0, count).mapToObj(n -> words + n + "\n").collect(Collectors.joining());
    }

    static void console(Admin admin) throws Exception {
        String topic = Suite.create(admin, "tool-console", 1);
        Tool said = toolWith(lines("line ", 500), "ConsoleProducer", "--topic", topic);
        check(said, true, "kafka-console-producer produces");
        said = tool("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--max-messages", "500",
            "--timeout-ms", "15000");
        check(said, said.printed.startsWith(lines("line ", 500)), "kafka-console-consumer reads it in order");
        toolWith("a:1\nb:2\na:3\n", "ConsoleProducer", "--topic", topic, "--reader-property", "parse.key=true",
            "--reader-property", "key.separator=:", "--compression-codec", "zstd");
        said = tool("consumer.ConsoleConsumer", "--topic", topic, "--partition", "0", "--offset", "500",
            "--max-messages", "3", "--timeout-ms", "15000", "--formatter-property", "print.key=true",
            "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true");
        check(said, said.lines().subList(0, 3).equals(List.of("Partition:0\tOffset:500\ta\t1",
            "Partition:0\tOffset:501\tb\t2", "Partition:0\tOffset:502\ta\t3")), "keys and offsets come back");
        said = tool("consumer.ConsoleConsumer", "--topic", topic, "--group", topic, "--from-beginning",
            "--max-messages", "200", "--timeout-ms", "15000");
        check(said, said.printed.startsWith(lines("line ", 200)), "kafka-console-consumer reads in a group");
    }

    private static Tool reset(String group, String topic, String... how) throws Exception {
        List<String> all = new ArrayList<>(List.of("--reset-offsets", "--group", group, "--topic", topic, "--execute"));
        all.addAll(List.of(how));
        return tool(GROUPS, all.toArray(new String[0]));
    }

    private static void checkReset(String group, String topic, long offset, String... how) throws Exception {
        Tool said = reset(group, topic, how);
        boolean told = said.lines().stream().map(line -> line.trim().split("\\s+"))
            .anyMatch(row -> row.length >= 4 && row[0].equals(group) && row[1].equals(topic) && row[2].equals("0")
                && row[3].equals(String.valueOf(offset)));
        check(said, told, "kafka-consumer-groups resets " + String.join(" ", how).replaceAll("[0-9]{4}-.*", "..."));
        Tool described = tool(GROUPS, "--describe", "--group", group);
        check(described, described.tells(topic, " " + offset + " "), "and describes that");
    }

    static void groups(Admin admin) throws Exception {
        String topic = Suite.create(admin, "tool-group", 1);
        long base = System.currentTimeMillis() - 600000;
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 0, 0, 100, base);
        }
        Tool said = tool("consumer.ConsoleConsumer", "--topic", topic, "--group", topic, "--from-beginning",
            "--max-messages", "100", "--timeout-ms", "15000");
        check(said, said.lines().get(0).equals("v0") && said.lines().get(99).equals("v99"), "a group reads a hundred");
        said = tool(GROUPS, "--describe", "--group", topic);
        List<String> row = said.lines().stream().filter(line -> line.contains(topic + " ") && line.contains(" 0 "))
            .flatMap(line -> List.of(line.trim().split("\\s+")).stream()).toList();
        check(said, row.contains("100"), "kafka-consumer-groups describes its offset");
        checkReset(topic, topic, 0, "--to-earliest");
        checkReset(topic, topic, 100, "--to-latest");
        checkReset(topic, topic, 70, "--shift-by", "-30");
        checkReset(topic, topic, 33, "--to-offset", "33");
        checkReset(topic, topic, 42, "--to-datetime", DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS")
            .withZone(ZoneOffset.UTC).format(Instant.ofEpochMilli(base + 41500)));
        checkReset(topic, topic, 0, "--by-duration", "PT1H");
        said = tool(GROUPS, "--list");
        check(said, said.lines().contains(topic), "kafka-consumer-groups lists");
        said = tool(GROUPS, "--describe", "--group", topic, "--state");
        check(said, said.tells(topic, "Empty"), "and tells the state");
        said = tool("consumer.ConsoleConsumer", "--topic", topic, "--group", topic, "--max-messages", "100",
            "--timeout-ms", "15000");
        check(said, said.lines().get(0).equals("v0") && said.lines().get(99).equals("v99"), "a reset group reads again");
        said = tool(GROUPS, "--delete-offsets", "--group", topic, "--topic", topic);
        check(said, said.tells("Successful") || said.tells("successfully"), "kafka-consumer-groups deletes offsets");
        said = tool(GROUPS, "--delete", "--group", topic);
        Checks.check(said.status == 0 || said.said.contains("GroupIdNotFound"), "and groups", said.said);
        said = tool(GROUPS, "--list");
        check(said, !said.lines().contains(topic), "and does not list them any more");
    }

    static void configs(Admin admin) throws Exception {
        String topic = Suite.create(admin, "tool-config", 1);
        String configs = "kafka.admin.ConfigCommand";
        Tool said = tool(configs, "--alter", "--topic", topic, "--add-config",
            "retention.ms=777000,cleanup.policy=[compact,delete]");
        check(said, said.tells("Completed updating config for topic " + topic), "kafka-configs alters");
        Checks.check(Checks.waitFor(10, () -> configTells(topic, "retention.ms=777000")), "and describes it");
        Checks.check(configTells(topic, "cleanup.policy=compact,delete"), "lists too");
        said = tool(configs, "--alter", "--topic", topic, "--add-config", "retention.ms=soon");
        Checks.check(said.status != 0 && said.said.contains("retention.ms"), "and refuses what is no number", said.said);
        said = tool(configs, "--alter", "--topic", topic, "--delete-config", "retention.ms");
        check(said, true, "kafka-configs deletes");
        Checks.check(Checks.waitFor(10, () -> !configTells(topic, "retention.ms=777000")), "and it is gone");
        said = tool(configs, "--describe", "--topic", topic, "--all");
        check(said, said.tells("segment.bytes=1073741824"), "kafka-configs describes all");
        String node = String.valueOf(admin.describeCluster().nodes().get().iterator().next().id());
        said = tool(configs, "--describe", "--broker", node, "--all");
        check(said, said.tells("num.partitions=3"), "and the node's");
    }

    private static boolean configTells(String topic, String text) {
        try {
            return tool("kafka.admin.ConfigCommand", "--describe", "--topic", topic).tells(text);
        } catch (Exception error) {
            return false;
        }
    }

    private static void checkOffsets(String topic, String words, String time, String... expected) throws Exception {
        Tool said = tool("GetOffsetShell", "--topic", topic, "--time", time);
        check(said, said.lines().equals(List.of(expected)), "kafka-get-offsets " + words);
    }

    static void offsets(Admin admin) throws Exception {
        String topic = Suite.create(admin, "tool-offsets", 2);
        long base = System.currentTimeMillis() - 600000;
        try (KafkaProducer<String, String> producer = Suite.producer()) {
            Suite.produce(producer, topic, 0, 0, 100, base);
            Suite.produce(producer, topic, 1, 0, 50, base);
        }
        checkOffsets(topic, "earliest", "earliest", topic + ":0:0", topic + ":1:0");
        checkOffsets(topic, "latest", "latest", topic + ":0:100", topic + ":1:50");
        checkOffsets(topic, "max-timestamp", "max-timestamp", topic + ":0:99", topic + ":1:49");
        checkOffsets(topic, "by time", String.valueOf(base + 41500), topic + ":0:42", topic + ":1:42");
        Path file = Files.createTempFile("offsets", ".json");
        Files.writeString(file, "{\"version\": 1, \"partitions\": [{\"topic\": \"" + topic
            + "\", \"partition\": 0, \"offset\": 25}]}");
        Tool said = tool("DeleteRecordsCommand", "--offset-json-file", file.toString());
        Files.delete(file);
        check(said, said.tells("partition: " + topic + "-0", "low_watermark: 25"), "kafka-delete-records");
        checkOffsets(topic, "earliest after it", "earliest", topic + ":0:25", topic + ":1:0");
        said = tool("LogDirsCommand", "--describe", "--topic-list", topic);
        check(said, said.tells("\"partition\":\"" + topic + "-1\"", "\"error\":null"), "kafka-log-dirs");
    }

    static void performance(Admin admin) throws Exception {
        String topic = Suite.create(admin, "tool-performance", 3);
        Tool said = tool("ProducerPerformance", "--topic", topic, "--num-records", "50000", "--record-size", "100",
            "--throughput", "-1");
        check(said, said.tells("50000 records sent"), "kafka-producer-perf-test");
        said = tool("GetOffsetShell", "--topic", topic, "--time", "latest");
        long sum = said.lines().stream().mapToLong(line -> Long.parseLong(line.substring(line.lastIndexOf(':') + 1))).sum();
        Checks.checkEqual(sum, 50000L, "all its records are there");
        said = tool("ConsumerPerformance", "--topic", topic, "--num-records", "50000", "--timeout", "20000",
            "--hide-header");
        check(said, said.tells(", 50000, "), "kafka-consumer-perf-test");
    }
}
