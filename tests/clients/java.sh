#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Apache Kafka's own Java client and command-line tools, and its dump-log tool over our segments.
limit_seconds=420
. "$(dirname "$0")/connect.sh"

fetch_jars() {
    mvn -q -B -f "$suite_dir/java/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1"
}

needs java javac mvn
version=$(sed -n 's/.*kafka-tools.*<version>\(.*\)<.version>.*/\1/p' "$suite_dir/java/pom.xml")
jars=$HOME/.cache/kafka-$version # Where others on this machine keep the same jars.
if [ ! -e "$jars/.complete" ]; then
    jars=$(cache_for java "$suite_dir/java/pom.xml")
    prepare "$jars" fetch_jars
fi
check 'the test programs build' javac -nowarn -d "$TEST_DIR/classes" -cp "$jars/*" "$suite_dir"/java/*.java
run_java() {
    # Quick to start rather than quick in the end; what its logger says goes to a file.
    java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx384M -Dlog4j2.level=ERROR \
        -cp "$TEST_DIR/classes:$jars/*" "$@" 2> "$TEST_DIR/java.err"
}
connect
run_program run_java Suite
if [ -n "$NODE_PID" ]; then
    stop_node
    run_program run_java DumpLog "$TEST_DIR/data"
fi
connect_cluster
run_program run_java Suite
disconnect_cluster
