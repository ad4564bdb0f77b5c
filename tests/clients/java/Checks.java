// SPDX-License-Identifier: Apache-2.0
// Checks that print, waits with deadlines, numbered records, and what every Java test here is given.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

final class Checks {
    static int failed = 0;

    private Checks() {
    }

    static void check(boolean passed, String words, Object... detail) {
        StringBuilder line = new StringBuilder(passed ? "ok - " : "not ok - ").append(words);
        if (!passed) {
            failed++;
            for (Object one : detail) {
                String text = String.valueOf(one);
                line.append(' ').append(text, 0, Math.min(text.length(), 600));
            }
        }
        System.out.println(line);
    }

    static void checkEqual(Object got, Object expected, String words) {
        check(Objects.equals(got, expected), words, "(expected " + expected + ", got " + got + ")");
    }

    interface Action {
        void run() throws Exception;
    }

    /** Passes where the action, or the future in it, fails with this kind of exception. */
    static void checkRefused(Action action, Class<?> kind, String words) {
        try {
            action.run();
            check(false, words, "(succeeded)");
        } catch (ExecutionException error) {
            check(kind.isInstance(error.getCause()), words, "(" + error.getCause() + ")");
        } catch (Exception error) {
            check(kind.isInstance(error), words, "(" + error + ")");
        }
    }

    /** Looks at the condition until it holds; false at the deadline. */
    static boolean waitFor(int seconds, BooleanSupplier condition) throws InterruptedException {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                return false;
            }
            Thread.sleep(20);
        }
        return true;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Record n: key, value and a header that tell n. */
    static ProducerRecord<String, String> number(String topic, int partition, int n, Long timestampMs) {
        ProducerRecord<String, String> record =
            new ProducerRecord<>(topic, partition, timestampMs, "k" + n, "v" + n);
        record.headers().add("h", bytes("h" + n));
        return record;
    }

    static boolean isNumber(ConsumerRecord<String, String> record, long n) {
        return ("k" + n).equals(record.key()) && ("v" + n).equals(record.value())
            && record.headers().lastHeader("h") != null
            && ("h" + n).equals(new String(record.headers().lastHeader("h").value(), StandardCharsets.UTF_8));
    }

    static boolean areNumbers(List<ConsumerRecord<String, String>> records, int first, int count, long offset) {
        if (records.size() != count) {
            System.out.println("  " + records.size() + " records instead of " + count);
            return false;
        }
        for (int i = 0; i < count; i++) {
            if (records.get(i).offset() != offset + i || !isNumber(records.get(i), first + i)) {
                System.out.println("  record " + i + " is " + records.get(i));
                return false;
            }
        }
        return true;
    }

    /** Every record of every partition came to one member once, and in order within a member. */
    static void checkMembers(String words, List<List<ConsumerRecord<String, String>>> members, int partitions,
                             int last) {
        Map<String, Integer> seen = new HashMap<>();
        List<String> wrong = new ArrayList<>();
        for (List<ConsumerRecord<String, String>> records : members) {
            Map<Integer, Long> ends = new HashMap<>();
            for (ConsumerRecord<String, String> record : records) {
                String place = record.partition() + "/" + record.offset();
                if (!isNumber(record, record.offset()) || record.offset() <= ends.getOrDefault(record.partition(), -1L)) {
                    wrong.add(place);
                }
                ends.put(record.partition(), record.offset());
                seen.merge(place, 1, Integer::sum);
            }
        }
        long once = seen.values().stream().filter(times -> times == 1).count();
        check(once == (long) partitions * last && seen.size() == once, words + ": every record goes to one member once",
              "(" + once + " of " + seen.size() + " do)");
        check(wrong.isEmpty(), words + ": each member reads each partition in order", wrong);
    }
}
