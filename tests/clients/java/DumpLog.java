// SPDX-License-Identifier: Apache-2.0
// Apache Kafka's dump-log tool over segments and indexes: DumpLog DATA-DIRECTORY HOST:PORT PREFIX, the node stopped.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;

public final class DumpLog {
    private static final int RECORDS = 60000;
    private static final List<String> COMPLAINTS = List.of("Mismatches in", "Non-consecutive offsets",
        "mismatch", "isvalid: false", "invalid", "Exception", "Found", "out of order");
    private static final Pattern RECORD = Pattern.compile("offset: (\\d+) .*key: (\\S+) payload: (\\S+)$");

    private DumpLog() {
    }

    /** Several segments of several batches, plain and compressed. */
    static void prepare(Admin admin) throws Exception {
        for (String codec : List.of("none", "lz4")) {
            String topic = Suite.name("dump-" + codec);
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(Map.of("segment.bytes", "1048576",
                "index.interval.bytes", "4096")))).all().get();
            try (KafkaProducer<String, String> producer = Suite.producer("compression.type", codec, "batch.size", 4000,
                    "linger.ms", 5)) {
                Checks.checkEqual(Suite.produce(producer, topic, 0, 0, RECORDS, 1_700_000_000_000L), RECORDS - 1L,
                    "records for the dump, " + codec);
            }
        }
    }

    private static List<Path> files(Path directory, String ending) throws IOException {
        try (Stream<Path> all = Files.list(directory)) {
            return all.filter(file -> file.toString().endsWith(ending)).sorted().collect(Collectors.toList());
        }
    }

    private static Tool dump(Path file, String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("--files", file.toString()));
        arguments.addAll(List.of(more));
        return Tool.run("org.apache.kafka.tools.DumpLogSegments", arguments.toArray(new String[0]));
    }

    private static boolean complains(Tool said) {
        boolean found = said.status != 0;
        // Kafka 4.3's tool says this of the first record of every segment but the first, its own ones too.
        String text = said.said.replaceAll("Non-consecutive offsets in \\S+\\s+-1 is followed by \\d+\\s", "");
        for (String line : text.lines().toList()) {
            if (COMPLAINTS.stream().anyMatch(line::contains)) {
                System.out.println("  " + line);
                found = true;
            }
        }
        return found;
    }

    private static void checkPartition(Path directory) throws Exception {
        String words = directory.getFileName().toString().replaceFirst(".*dump-", "dump-") + ": ";
        long next = 0;
        int batches = 0;
        boolean clean = true;
        for (Path segment : files(directory, ".log")) {
            Tool said = dump(segment, "--print-data-log", "--deep-iteration");
            clean = clean && !complains(said);
            for (String line : said.lines()) {
                Matcher record = RECORD.matcher(line);
                batches += line.startsWith("baseOffset:") ? 1 : 0;
                if (record.find()) {
                    clean = clean && record.group(1).equals(String.valueOf(next))
                        && record.group(2).equals("k" + next) && record.group(3).equals("v" + next);
                    next++;
                }
            }
        }
        Checks.check(clean && next == RECORDS, words + "kafka-dump-log reads every record in order",
            "(" + next + " records in " + batches + " batches)");
        int entries = 0;
        for (String ending : List.of(".index", ".timeindex")) {
            boolean sane = true;
            for (Path index : files(directory, ending)) {
                Tool said = dump(index);
                sane = sane && !complains(said) && !complains(dump(index, "--index-sanity-check"))
                    && !complains(dump(index, "--verify-index-only"));
                entries += (int) said.lines().stream().filter(line -> line.contains("offset: ")).count();
            }
            Checks.check(sane, words + "and has nothing against " + ending + " files");
        }
        Checks.check(files(directory, ".log").size() > 1 || words.startsWith("dump-lz4"), words + "there are several segments");
        Checks.check(entries > 10, words + "the indexes have entries", entries);
        for (Path snapshot : files(directory, ".snapshot")) {
            Tool said = dump(snapshot);
            Checks.check(!complains(said) && said.said.contains("producerId"), words + "and reads producer snapshots",
                said.said);
        }
    }

    public static void main(String[] arguments) throws Exception {
        try {
            for (String codec : List.of("none", "lz4")) {
                checkPartition(Path.of(arguments[0], arguments[2] + ".dump-" + codec + "-0"));
            }
        } catch (Exception error) {
            error.printStackTrace();
            Checks.check(false, "the dump came to its end", error);
        }
        System.out.flush();
        Runtime.getRuntime().halt(Checks.failed == 0 ? 0 : 1);
    }
}
