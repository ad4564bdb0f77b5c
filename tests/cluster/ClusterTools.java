// SPDX-License-Identifier: Apache-2.0
// Apache Kafka's own tools against a cluster of three, all in one virtual machine: 
// ClusterTools HOST:PORT,... DIRECTORY TOPIC well RECORDS | without | unregister.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

public final class ClusterTools {
    private static final String REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
    private static final String TOPICS = "org.apache.kafka.tools.TopicCommand";
    private static final String QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand";
    private static final String CLUSTER = "org.apache.kafka.tools.ClusterTool";
    private static final String CONFIGS = "kafka.admin.ConfigCommand";
    private static final String GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    private static String bootstrap;
    private static Path directory;
    private static String topic;

    private ClusterTools() {
    }

    private static Tool tool(String name, String... arguments) throws Exception {
        // Commands of a tool come before what all of them take.
        List<String> all = new java.util.ArrayList<>(List.of(arguments));
        boolean commands = name.equals(CLUSTER);
        all.addAll(commands ? 1 : 0, List.of("--bootstrap-server", bootstrap));
        return Tool.run(name, all.toArray(new String[0]));
    }

    private static String file(String name, String text) throws Exception {
        return Files.writeString(directory.resolve(name), text).toString();
    }

    private static void says(Tool tool, String words, String... texts) {
        Checks.check(tool.tells(texts), words, "(" + tool.status + ": " + tool.said + ")");
    }

    /** Column `column` of partition 0 in the .info file of the topic, on the mount of node 1. */
    private static String info(String name, int column) throws Exception {
        return Files.readAllLines(mount(1).resolve(name).resolve(".info")).stream().map(line -> line.split("\\s+"))
            .filter(row -> row[0].equals("0")).map(row -> row[column]).findFirst().orElse("");
    }

    private static Path mount(int node) {
        return directory.resolve(String.valueOf(node)).resolve("mount");
    }

    private static String clusterFile(String name) throws Exception {
        return Files.readString(mount(1).resolve(".cluster").resolve(name)).strip();
    }

    private static boolean settles(Check check) throws Exception {
        return Checks.waitFor(20, () -> {
            try {
                return check.holds();
            } catch (Exception error) {
                return false;
            }
        });
    }

    private interface Check {
        boolean holds() throws Exception;
    }

    private static void describe() throws Exception {
        says(tool(TOPICS, "--describe", "--topic", topic), "topics --describe says what .info says", "Partition: 0",
             "Leader: " + info(topic, 1) + "\t", "Replicas: " + info(topic, 2) + "\t", "Isr: " + info(topic, 3) + "\t");
        for (String option : List.of("--under-replicated-partitions", "--unavailable-partitions",
                                     "--under-min-isr-partitions", "--at-min-isr-partitions")) {
            Tool tool = tool(TOPICS, "--describe", option);
            Checks.check(tool.status == 0 && tool.lines().isEmpty(), "topics --describe " + option + " of a cluster that is well",
                         tool.said);
        }
        Tool quorum = tool(QUORUM, "describe", "--status");
        says(quorum, "metadata-quorum describe --status: the cluster", "ClusterId:", clusterFile("id"));
        says(quorum, "the node that leads it", "LeaderId:", " " + clusterFile("controller"));
        Checks.check(quorum.printed.matches("(?s).*HighWatermark: +[1-9][0-9]*\\n.*"), "how far it is", quorum.said);
        says(quorum, "three voters with their addresses", "CurrentVoters:", "\"id\": 1,", "\"id\": 2,", "\"id\": 3,", "9092");
        Tool replication = tool(QUORUM, "describe", "--replication");
        List<String[]> rows = replication.lines().stream().skip(1).map(line -> line.trim().split("\\s+")).toList();
        Checks.check(replication.status == 0 && rows.size() == 3
                     && rows.stream().filter(row -> row[6].equals("Leader")).count() == 1
                     && rows.stream().filter(row -> row[6].equals("Follower")).count() == 2
                     && rows.stream().allMatch(row -> row[1].length() == 22 && Long.parseLong(row[2]) > 0
                                               && Long.parseLong(row[3]) < 100),
                     "metadata-quorum describe --replication: a leader and two followers that keep up", replication.said);
        says(tool(CLUSTER, "cluster-id"), "cluster cluster-id is that of .cluster", "Cluster ID: " + clusterFile("id"));
        Tool endpoints = tool(CLUSTER, "list-endpoints");
        for (int node = 1; node <= 3; node++) {
            says(endpoints, "cluster list-endpoints has node " + node, node + " ", "." + node + " ", "9092", "unfenced", "broker");
        }
        refuses(tool(CLUSTER, "unregister", "--id", "77"), "cluster unregister of a node that is not there", "77 is not currently registered");
        Tool sizes = tool("org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", topic);
        List<String> found = new java.util.ArrayList<>();
        var pattern = java.util.regex.Pattern.compile("\"partition\":\"" + topic + "-0\",\"size\":([0-9]+),\"offsetLag\":0,");
        pattern.matcher(sizes.printed).results().forEach(one -> found.add(one.group(1)));
        Checks.check(found.size() == 3 && found.stream().distinct().count() == 1 && Long.parseLong(found.get(0)) > 300000,
                     "log-dirs --describe: three replicas of one size", sizes.said);
        for (int node = 1; node <= 3; node++) {
            says(sizes, "in the directory of node " + node, "\"broker\":" + node, "/" + node + "/data\"");
        }
        features();
        Tool versions = tool("org.apache.kafka.tools.BrokerApiVersionsCommand");
        Checks.check(versions.status == 0 && versions.lines().stream().filter(line -> line.contains("isFenced: false) -> (")).count() == 3
                     && versions.lines().stream().filter(line -> line.contains("Produce(0): 0 to 13 [usable: 13]")).count() == 3
                     && !versions.said.contains("ERROR"), "broker-api-versions: three nodes that speak alike", versions.said);
    }

    private static void features() throws Exception {
        String feature = "org.apache.kafka.tools.FeatureCommand";
        Tool before = tool(feature, "describe");
        says(before, "features describe", "metadata.version", "FinalizedVersionLevel: 4.3-IV0");
        says(tool(feature, "upgrade", "--feature", "eligible.leader.replicas.version=1", "--dry-run"), "features upgrade, dry run",
             "eligible.leader.replicas.version can be upgraded to 1");
        refuses(tool(feature, "downgrade", "--feature", "metadata.version=7", "--dry-run"), "features downgrade, dry run",
                "Can not downgrade metadata.version to 7");
        refuses(tool(feature, "upgrade", "--feature", "no.such.version=1", "--dry-run"), "a feature that is none",
                "no.such.version");
        Tool after = tool(feature, "describe");
        Checks.checkEqual(levels(after), levels(before), "and nothing of that changed anything");
    }

    private static List<String> levels(Tool described) {
        return described.lines().stream().map(line -> line.replaceAll("Epoch: .*", "").strip()).toList();
    }

    private static void refuses(Tool tool, String words, String text) {
        Checks.check(tool.status != 0 && tool.said.contains(text), words + " is refused", "(" + tool.status + ": " + tool.said + ")");
    }

    private static void configs() throws Exception {
        String configs = "kafka.admin.ConfigCommand";
        says(tool(configs, "--alter", "--broker", "2", "--add-config", "message.max.bytes=2000000"), "configs alters one node",
             "Completed updating config for broker 2");
        says(tool(configs, "--alter", "--broker-defaults", "--add-config", "message.max.bytes=3000000"), "and the default of all",
             "Completed updating default config for brokers in the cluster");
        Checks.check(settles(() -> tool(configs, "--describe", "--broker", "2").tells("message.max.bytes=2000000",
            "DYNAMIC_BROKER_CONFIG:message.max.bytes=2000000", "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=3000000")),
            "configs describes both, in their order");
        Checks.check(settles(() -> tool(configs, "--describe", "--broker", "3", "--all").tells("message.max.bytes=3000000")),
            "another node has the default");
        says(tool(configs, "--alter", "--broker", "2", "--delete-config", "message.max.bytes"), "configs deletes one");
        says(tool(configs, "--alter", "--broker-defaults", "--delete-config", "message.max.bytes"), "and the other");
        Checks.check(settles(() -> tool(configs, "--describe", "--broker", "2", "--all").tells("message.max.bytes=1048588")),
            "and all is as before");
        refuses(tool(configs, "--alter", "--broker", "2", "--add-config", "node.id=7"), "a key that cannot change", "node.id");
    }

    private static String[] groupRow(String group) throws Exception {
        return tool(GROUPS, "--describe", "--group", group).lines().stream().map(line -> line.trim().split("\\s+"))
            .filter(row -> row.length >= 6 && row[0].equals(group) && row[2].equals("0")).findFirst().orElse(new String[6]);
    }

    private static void groups(long records) throws Exception {
        Tool read = tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--topic", topic, "--group", "toolers",
                         "--from-beginning", "--max-messages", String.valueOf(records), "--timeout-ms", "20000");
        Checks.checkEqual((long) read.lines().size(), records, "a group reads every record");
        Checks.checkEqual(List.of(groupRow("toolers")).subList(3, 6),
                          List.of(String.valueOf(records), String.valueOf(records), "0"), "consumer-groups --describe: no lag");
        says(tool(GROUPS, "--reset-offsets", "--group", "toolers", "--topic", topic, "--to-offset", "7", "--execute"),
             "consumer-groups --reset-offsets", "toolers", topic, " 7");
        Checks.checkEqual(List.of(groupRow("toolers")).subList(3, 6),
                          List.of("7", String.valueOf(records), String.valueOf(records - 7)), "and describes the lag");
        says(tool(GROUPS, "--list", "--state"), "consumer-groups --list --state", "toolers", "Empty");
        says(tool(GROUPS, "--delete", "--group", "toolers"), "consumer-groups --delete", "was successful");
        Tool list = tool(GROUPS, "--list");
        Checks.check(list.status == 0 && !list.lines().contains("toolers"), "and it is not listed any more", list.said);
    }

    private static void offsets() throws Exception {
        String offsets = "org.apache.kafka.tools.GetOffsetShell";
        says(tool(TOPICS, "--create", "--topic", "cut", "--partitions", "3"), "topics --create", "Created topic cut");
        Checks.check(settles(() -> tool(TOPICS, "--describe", "--topic", "cut").tells("PartitionCount: 3", "ReplicationFactor: 3",
            "min.insync.replicas=2")), "with three replicas, two of which acknowledge");
        Tool sent = Tool.runWith("a:1\n".repeat(50), "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", bootstrap,
                                 "--topic", "cut", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:");
        Checks.check(sent.status == 0, "console-producer", sent.said);
        // Its exit hooks do not run here: it sends on while we look.
        Checks.check(settles(() -> tool(offsets, "--topic", "cut", "--time", "latest").said.contains(":50\n")), "and its records arrive");
        Tool latest = tool(offsets, "--topic", "cut", "--time", "latest");
        int partition = latest.lines().stream().filter(line -> line.endsWith(":50")).findFirst()
            .map(line -> Integer.parseInt(line.split(":")[1])).orElse(-1);
        Checks.check(partition >= 0 && latest.lines().size() == 3, "get-offsets: the key's partition ends at 50", latest.said);
        String cut = file("cut.json", "{\"version\":1,\"partitions\":[{\"topic\":\"cut\",\"partition\":" + partition
                          + ",\"offset\":20}]}");
        says(tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", cut), "delete-records",
             "partition: cut-" + partition, "low_watermark: 20");
        Tool earliest = tool(offsets, "--topic", "cut", "--time", "earliest");
        Checks.check(earliest.lines().size() == 3 && earliest.lines().contains("cut:" + partition + ":20")
                     && earliest.lines().stream().filter(line -> line.endsWith(":0")).count() == 2,
                     "get-offsets: it begins at 20 and the others at 0", earliest.said);
        transactions(partition);
    }

    private static void transactions(int partition) throws Exception {
        String transactions = "org.apache.kafka.tools.TransactionsCommand";
        Tool list = tool(transactions, "list");
        Checks.check(list.status == 0 && list.lines().size() == 1 && list.tells("TransactionalId", "Coordinator"),
                     "transactions list: none", list.said);
        List<String> rows = new java.util.ArrayList<>();
        for (int node = 1; node <= 3; node++) {
            Tool producers = tool(transactions, "describe-producers", "--topic", "cut", "--partition", String.valueOf(partition),
                                  "--broker-id", String.valueOf(node));
            rows.addAll(producers.lines().stream().skip(1).map(line -> line.replaceAll("\\s+", " ")).toList());
        }
        Checks.check(rows.size() == 3 && rows.stream().distinct().count() == 1,
                     "transactions describe-producers: one producer, the same of every replica", rows);
        Tool hanging = tool(transactions, "find-hanging", "--broker-id", "1");
        Checks.check(hanging.status == 0 && hanging.lines().size() == 1, "transactions find-hanging: none", hanging.said);
    }

    private static boolean reassignmentEnded(String plan) {
        try {
            return tool(REASSIGN, "--verify", "--reassignment-json-file", plan).tells("is completed");
        } catch (Exception error) {
            return false;
        }
    }

    private static String moveTo(String replicas) {
        return "{\"version\":1,\"partitions\":[{\"topic\":\"" + topic + "\",\"partition\":0,\"replicas\":[" + replicas + "]}]}";
    }

    private static void reassign() throws Exception {
        String topics = file("topics.json", "{\"version\":1,\"topics\":[{\"topic\":\"" + topic + "\"}]}");
        says(tool(REASSIGN, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1,2,3"),
             "reassign-partitions --generate", "Proposed partition reassignment configuration");
        String two = file("two.json", moveTo("2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", two), "reassign-partitions --execute", "Successfully started");
        Checks.check(Checks.waitFor(30, () -> reassignmentEnded(two)), "reassign-partitions --verify: completed");
        Checks.check(settles(() -> tool(TOPICS, "--describe", "--topic", topic).tells("Partition: 0", "Replicas: 2,3\t")),
                     "and the replicas are those of the plan");
        String three = file("three.json", moveTo("1,2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", three, "--throttle", "100000",
                  "--replica-alter-log-dirs-throttle", "200000"),
             "reassign-partitions --execute with throttles", "Successfully started");
        Checks.check(settles(() -> throttles(three) == 6 && tool(CONFIGS, "--describe", "--topic", topic)
            .tells("leader.replication.throttled.replicas=0:2,0:3")), "the nodes and the topic have them");
        Checks.check(settles(() -> tool(REASSIGN, "--list").tells(topic + "-0: replicas:", "adding: 1")),
                     "reassign-partitions --list shows it");
        Checks.check(settles(() -> tool(TOPICS, "--describe", "--topic", topic).tells("Adding Replicas: 1")),
                     "topics --describe, too");
        says(tool(REASSIGN, "--verify", "--reassignment-json-file", three, "--preserve-throttles"),
             "reassign-partitions --verify: still in progress", "Reassignment of partition " + topic + "-0 is still in progress");
        Checks.checkEqual(throttles(three), 6L, "which leaves the throttles alone");
        says(tool(REASSIGN, "--cancel", "--reassignment-json-file", three, "--preserve-throttles"), "reassign-partitions --cancel",
             "Successfully cancelled");
        Checks.check(settles(() -> tool(TOPICS, "--describe", "--topic", topic).tells("Partition: 0", "Replicas: 2,3\t")),
                     "and the replicas are as before");
        String again = file("again.json", moveTo("1,2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", again, "--throttle", "100000000"),
             "it can be executed again, faster", "Successfully started");
        Checks.check(Checks.waitFor(30, () -> reassignmentEnded(again)), "to its end");
        Checks.check(settles(() -> throttles(again) == 0 && tool(CONFIGS, "--describe", "--topic", topic).lines().stream()
            .noneMatch(line -> line.contains("throttled.replicas"))), "and --verify takes the throttles away");
        leaderThrottled();
    }

    /** How many rates of throttled replicas the nodes have. */
    private static long throttles(String plan) throws Exception {
        return tool(CONFIGS, "--describe", "--entity-type", "brokers").lines().stream()
            .filter(line -> line.strip().matches("(leader|follower).replication.throttled.rate=.*")).count();
    }

    /** The leaders' half alone slows a reassignment down; without it the rest is there at once. */
    private static void leaderThrottled() throws Exception {
        String two = file("two.json", moveTo("2,3"));
        String three = file("three.json", moveTo("1,2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", two), "node 1 gives its replica away", "Successfully started");
        Checks.check(Checks.waitFor(30, () -> reassignmentEnded(two)), "and is rid of it");
        says(tool(CONFIGS, "--alter", "--topic", topic, "--add-config", "leader.replication.throttled.replicas=*"),
             "every leader of the topic is throttled", "Completed");
        says(tool(CONFIGS, "--alter", "--broker-defaults", "--add-config", "leader.replication.throttled.rate=100000"),
             "to a tenth of a megabyte a second", "Completed");
        Checks.check(settles(() -> tool(CONFIGS, "--describe", "--broker", "2", "--all").tells("leader.replication.throttled.rate=100000")
            && tool(CONFIGS, "--describe", "--broker", "3", "--all").tells("leader.replication.throttled.rate=100000")),
            "on every node");
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", three), "node 1 gets it back", "Successfully started");
        for (int look = 0; look < 3; look++) {
            says(tool(REASSIGN, "--verify", "--reassignment-json-file", three, "--preserve-throttles"),
                 "slowly", "is still in progress");
        }
        says(tool(CONFIGS, "--alter", "--broker-defaults", "--delete-config", "leader.replication.throttled.rate"),
             "without the throttle", "Completed");
        Checks.check(Checks.waitFor(20, () -> reassignmentEnded(three)), "it ends");
    }

    private static void unregister() throws Exception {
        says(tool(CLUSTER, "unregister", "--id", "3"), "cluster unregister of a node that is gone", "Broker 3 is no longer registered");
        Checks.check(settles(() -> !tool(CLUSTER, "list-endpoints", "--include-fenced-brokers").said.contains("\n3 ")),
                     "and it is not listed any more");
    }

    /** Node 3 is gone. */
    private static void without() throws Exception {
        Checks.check(settles(() -> tool(TOPICS, "--describe", "--unavailable-partitions").tells("Topic: alone", "Partition: 0",
            "Leader: none", "Replicas: 3")), "topics --unavailable-partitions: the one with its only replica there");
        Checks.checkEqual(tool(TOPICS, "--describe", "--unavailable-partitions").lines().size(), 1, "and no other");
        Tool under = tool(TOPICS, "--describe", "--under-replicated-partitions");
        Checks.check(under.tells("Topic: " + topic, "Partition: 0") && under.lines().stream().noneMatch(line -> line.matches(".*Isr: \\S*3.*"))
                     && under.lines().stream().filter(line -> line.contains("Topic: cut")).count() == 3,
                     "topics --under-replicated-partitions: every one with a replica there", under.said);
        Tool least = tool(TOPICS, "--describe", "--at-min-isr-partitions");
        Checks.check(least.tells("Topic: " + topic, "Partition: 0") && least.lines().stream().noneMatch(line -> line.contains("alone")),
                     "topics --at-min-isr-partitions: those with two of three left", least.said);
        Tool below = tool(TOPICS, "--describe", "--under-min-isr-partitions");
        Checks.check(below.lines().size() == 1 && below.tells("Topic: alone"), "topics --under-min-isr-partitions", below.said);
        says(tool(CLUSTER, "list-endpoints", "--include-fenced-brokers"), "cluster list-endpoints --include-fenced-brokers", "3 ", " fenced");
        Tool unfenced = tool(CLUSTER, "list-endpoints");
        Checks.check(unfenced.status == 0 && unfenced.lines().size() == 3, "without it, two nodes", unfenced.said);
        Tool preferred = tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type", "preferred", "--topic", "alone",
                              "--partition", "0");
        Checks.check(preferred.status != 0 && preferred.said.contains("PreferredLeaderNotAvailable"),
                     "leader-election of a leader that is gone is refused", preferred.said);
    }

    private static boolean firstLeads() {
        try {
            return tool(TOPICS, "--describe", "--topic", topic).tells("Partition: 0", "Leader: 1");
        } catch (Exception error) {
            return false;
        }
    }

    private static void elect() throws Exception {
        Tool tool = tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type", "preferred", "--topic", topic,
                         "--partition", "0");
        says(tool, "leader-election preferred", "Successfully completed leader election");
        // Any node may be the one that is asked: it has heard of it a little later.
        Checks.check(Checks.waitFor(5, ClusterTools::firstLeads), "the first replica leads", tool.said);
        Tool unclean = tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type", "unclean", "--topic", topic,
                            "--partition", "0");
        Checks.check(unclean.said.contains("Valid replica already elected") || unclean.said.contains("not needed"),
                     "leader-election unclean where there is a leader changes nothing", unclean.said);
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        directory = Path.of(arguments[1]);
        topic = arguments[2];
        switch (arguments[3]) {
            case "well" -> {
                describe();
                groups(Long.parseLong(arguments[4]));
                offsets();
                configs();
                reassign();
                elect();
                says(tool(TOPICS, "--create", "--topic", "alone", "--replica-assignment", "3"), "a topic on node 3 alone", "Created");
            }
            case "without" -> without();
            default -> unregister();
        }
        System.exit(Checks.failed > 0 ? 1 : 0);
    }
}
