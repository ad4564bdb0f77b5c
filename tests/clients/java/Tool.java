// SPDX-License-Identifier: Apache-2.0
// Runs a command-line tool of Apache Kafka in this virtual machine: its main, with its output kept and its exit caught.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

final class Tool {
    final int status;
    /** What it printed on standard output; `said` is that and standard error after it. */
    final String printed;
    final String said;

    private Tool(int status, String printed, String errors) {
        this.status = status;
        this.printed = printed;
        this.said = printed + errors;
    }

    private static final class Ended extends RuntimeException {
        Ended(int status) {
            super("exit " + status);
        }
    }

    static Tool run(String name, String... arguments) throws Exception {
        return runWith("", name, arguments);
    }

    /** Runs class `name` with this standard input. */
    static Tool runWith(String input, String name, String... arguments) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        // Some tools catch what they throw to leave, and leave again: the first word counts.
        List<Integer> statuses = new ArrayList<>();
        Exit.Procedure leave = (status, message) -> {
            statuses.add(status);
            throw new Ended(status);
        };
        Exit.setExitProcedure(leave);
        Exit.setHaltProcedure(leave);
        Exit.setShutdownHookAdder((hook, action) -> { });
        try {
            System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
            System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Ended)) {
                throw error;
            }
        } finally {
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
        }
        int status = statuses.isEmpty() ? 0 : statuses.get(0);
        return new Tool(status, printed.toString(StandardCharsets.UTF_8), errors.toString(StandardCharsets.UTF_8));
    }

    List<String> lines() {
        return printed.lines().filter(line -> !line.isBlank()).toList();
    }

    /** True where it succeeded and some line holds all of these. */
    boolean tells(String... texts) {
        return status == 0 && said.lines().anyMatch(line -> List.of(texts).stream().allMatch(line::contains));
    }
}
