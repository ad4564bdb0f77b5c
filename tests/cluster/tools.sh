#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Apache Kafka's own tools look at a cluster of three, move its partitions and its leaders, and agree with its files.
limit_seconds=240
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

needs java javac mvn
java_dir=$source_root/tests/clients/java
version=$(sed -n 's/.*kafka-tools.*<version>\(.*\)<.version>.*/\1/p' "$java_dir/pom.xml")
jars=$HOME/.cache/kafka-$version # Where others on this machine keep the same jars.
if [ ! -e "$jars/.complete" ]; then
    jars=$TEST_DIR/jars
    mvn -q -B -f "$java_dir/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$jars" > "$TEST_DIR/mvn.log" 2>&1 ||
        skip_all "$TEST_NAME: the tools could not be fetched"
fi
check 'the test program builds' javac -nowarn -d "$TEST_DIR/classes" -cp "$jars/*" "$cluster_dir/ClusterTools.java" \
    "$java_dir/Tool.java" "$java_dir/Checks.java"
cluster_open 3
cluster_start auto.leader.rebalance.enable=false # Leaders move when the tools say so.
make_topic tools 1
head -c 3000000 /dev/urandom | base64 > "$TEST_DIR/sent"
produce tools 0 < "$TEST_DIR/sent"
run_tools() {
    java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx384M -Dlog4j2.level=ERROR -cp "$TEST_DIR/classes:$jars/*" \
        ClusterTools "$BOOTSTRAP" "$TEST_DIR" tools "$@" 2>> "$TEST_DIR/java.err" || checks_failed=$((checks_failed + 1))
}
run_tools well "$(wc -l < "$TEST_DIR/sent")"
check 'its records came through all of it' cmp "$TEST_DIR/sent" <(consume tools 0)
member_stop 3
run_tools without
run_tools unregister
finish
