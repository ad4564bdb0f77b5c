// SPDX-License-Identifier: Apache-2.0
// Apache Kafka's own tools against a cluster of three, all in one virtual machine: ClusterTools HOST:PORT,... DIRECTORY TOPIC.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

public final class ClusterTools {
    private static final String REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
    private static final String TOPICS = "org.apache.kafka.tools.TopicCommand";
    private static final String QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand";
    private static String bootstrap;
    private static Path directory;
    private static String topic;

    private ClusterTools() {
    }

    private static Tool tool(String name, String... arguments) throws Exception {
        String[] all = new String[arguments.length + 2];
        all[0] = "--bootstrap-server";
        all[1] = bootstrap;
        System.arraycopy(arguments, 0, all, 2, arguments.length);
        return Tool.run(name, all);
    }

    private static String file(String name, String text) throws Exception {
        return Files.writeString(directory.resolve(name), text).toString();
    }

    private static void says(Tool tool, String words, String... texts) {
        Checks.check(tool.tells(texts), words, "(" + tool.status + ": " + tool.said + ")");
    }

    private static void describe() throws Exception {
        says(tool(TOPICS, "--describe", "--topic", topic), "topics --describe", "Partition: 0", "Leader: ", "Isr: ");
        for (String option : List.of("--under-replicated-partitions", "--unavailable-partitions",
                                     "--under-min-isr-partitions", "--at-min-isr-partitions")) {
            Tool tool = tool(TOPICS, "--describe", option);
            Checks.check(tool.status == 0 && tool.lines().isEmpty(), "topics --describe " + option + " of a cluster that is well",
                         tool.said);
        }
        says(tool(QUORUM, "describe", "--status"), "metadata-quorum describe --status", "LeaderId:");
        Tool replication = tool(QUORUM, "describe", "--replication");
        Checks.check(replication.status == 0 && replication.lines().size() >= 4,
                     "metadata-quorum describe --replication names three nodes", replication.said);
        says(Tool.run("org.apache.kafka.tools.ClusterTool", "cluster-id", "--bootstrap-server", bootstrap), "cluster cluster-id",
             "Cluster ID:");
        says(Tool.run("org.apache.kafka.tools.ClusterTool", "list-endpoints", "--bootstrap-server", bootstrap),
             "cluster list-endpoints", "9092");
        says(tool("org.apache.kafka.tools.LogDirsCommand", "--describe", "--topic-list", topic), "log-dirs --describe",
             "\"broker\"", topic + "-0");
        says(tool("org.apache.kafka.tools.FeatureCommand", "describe"), "features describe", "metadata.version");
        says(tool("org.apache.kafka.tools.BrokerApiVersionsCommand"), "broker-api-versions", "Produce(0)");
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
        says(tool(TOPICS, "--describe", "--topic", topic), "and the replicas are those of the plan", "Partition: 0", "Replicas: 2,3");
        String three = file("three.json", moveTo("1,2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", three, "--throttle", "1000"),
             "reassign-partitions --execute with a throttle", "Successfully started");
        says(tool(REASSIGN, "--list"), "reassign-partitions --list shows it", topic);
        says(tool(REASSIGN, "--cancel", "--reassignment-json-file", three), "reassign-partitions --cancel", "cancel");
        says(tool(TOPICS, "--describe", "--topic", topic), "and the replicas are as before", "Partition: 0", "Replicas: 2,3");
        String again = file("again.json", moveTo("1,2,3"));
        says(tool(REASSIGN, "--execute", "--reassignment-json-file", again), "and it can be executed again", "Successfully started");
        Checks.check(Checks.waitFor(30, () -> reassignmentEnded(again)), "to its end");
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
        describe();
        reassign();
        elect();
        System.exit(Checks.failed > 0 ? 1 : 0);
    }
}
