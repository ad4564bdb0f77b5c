# SPDX-License-Identifier: Apache-2.0
# What every client test begins with: a broker at $BOOTSTRAP, a $PREFIX for its topics and groups, a $CACHE directory.
#
# The broker is a node of the test's own. With TOPICFS_PEER=host:port it is the one that listens there instead:
# every suite here passes against Apache Kafka 4.3 too (num.partitions=3, auto-creation on), so what fails against
# topicfs alone is topicfs's fault. Programs of a suite get $BOOTSTRAP and $PREFIX as their two arguments, print the
# lines of harness.sh and end with 0 or 1.

. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"

mount=no
suite_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PREFIX=$(basename "$0" .sh)-$$-$RANDOM
# What package managers bring stays here from run to run, named by the manifest it was made from.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/topicfs-tests
mkdir -p "$CACHE"

connect() {
    if [ -n "${TOPICFS_PEER:-}" ]; then
        BOOTSTRAP=$TOPICFS_PEER
    else
        start_node num.partitions=3 group.initial.rebalance.delay.ms=300 "$@"
    fi
}

# What the same program does again with three nodes, whose first alone it is told of: programs find $REPLICATION and
# $KILL_LEADER in their environment. $KILL_LEADER TOPIC kills a node that leads a partition of it, never the first.
connect_cluster() {
    local number nodes=
    [ -z "${TOPICFS_PEER:-}" ] || finish # Three nodes of somebody else's cannot be killed from here.
    [ -z "$NODE_PID" ] || stop_node
    needs kcat
    PREFIX=$PREFIX-cluster
    export REPLICATION=3 KILL_LEADER=$TEST_DIR/kill_leader
    mkdir -p "$TEST_DIR/cluster"
    (umask 077 && head -c 32 /dev/urandom | base64 > "$TEST_DIR/cluster/token")
    trap 'kill -KILL $(cat "$TEST_DIR"/cluster/*.pid) 2> /dev/null; wait 2> /dev/null
        rmdir "${cluster_reservations[@]}" 2> /dev/null; clean_up' EXIT
    cluster_reservations=()
    for number in 1 2 3; do
        [ -z "${PORT_RESERVATION:-}" ] || cluster_reservations+=("$PORT_RESERVATION")
        choose_port
        nodes+=${nodes:+,}$BOOTSTRAP
    done
    for number in 1 2 3; do
        "$TOPICFS" -f --no-mount --override "topicfs.nodes=$nodes" --override "log.dirs=$TEST_DIR/cluster/$number" \
            --override "listeners=PLAINTEXT://$(cut -d , -f "$number" <<< "$nodes")" \
            --override "topicfs.token.file=$TEST_DIR/cluster/token" --override num.partitions=3 \
            --override group.initial.rebalance.delay.ms=300 "$@" >> "$TEST_DIR/cluster/$number.log" 2>&1 &
        echo $! > "$TEST_DIR/cluster/$number.pid"
    done
    BOOTSTRAP=${nodes%%,*}
    cat > "$KILL_LEADER" <<KILL
#!/usr/bin/env bash
leader=\$(kcat -L -b $BOOTSTRAP -t "\$1" | sed -n 's/.* partition [0-9]*, leader \([23]\),.*/\1/p' | head -n 1)
kill -KILL "\$(cat "$TEST_DIR/cluster/\$leader.pid")" && rm "$TEST_DIR/cluster/\$leader.pid"
KILL
    chmod +x "$KILL_LEADER"
    wait_for 30 cluster_is_up || { fail 'three nodes form a cluster'; tail -n 5 "$TEST_DIR"/cluster/*.log; finish; }
}

cluster_is_up() {
    kcat -L -m 2 -b "$BOOTSTRAP" 2> /dev/null | grep -q '3 brokers'
}

# Ends the test as it stands; nodes that nobody killed have run to the end and stop in good order.
disconnect_cluster() {
    local file pid stopped=()
    for file in "$TEST_DIR"/cluster/*.pid; do stopped+=("$(cat "$file")"); done
    check "${#stopped[@]} nodes live" kill -TERM "${stopped[@]}"
    for pid in "${stopped[@]}"; do
        wait "$pid" || fail "a node stops in good order (status $?)"
    done
    finish
}

# Ends the test as it stands, the node stopped in good order.
disconnect() {
    [ -z "$NODE_PID" ] || stop_node
    finish
}

# Prints the directory in the cache for manifest files $2..., of the client called $1.
cache_for() {
    local name=$1
    shift
    echo "$CACHE/$name-$(cat "$@" | sha256sum | cut -c 1-16)"
}

# Prepares directory $1 once, by the command after it, which is given the directory. Where the package manager
# cannot be reached the test is skipped: that is no fault of the broker.
prepare() {
    local dir=$1
    shift
    (
        flock 9
        if [ ! -e "$dir/.complete" ]; then
            rm -rf "$dir"
            mkdir -p "$dir" && "$@" "$dir" > "$TEST_DIR/prepare.log" 2>&1 && touch "$dir/.complete"
        fi
    ) 9> "$dir.lock" && return
    tail -n 5 "$TEST_DIR/prepare.log"
    skip_all "$TEST_NAME: its packages could not be fetched"
}

# Runs the program of the suite; it prints its own checks.
run_program() {
    "$@" "$BOOTSTRAP" "$PREFIX" || fail_quietly $?
}

# A program that printed no "not ok" before it failed must count all the same.
fail_quietly() {
    [ "$1" -eq 1 ] || fail "$TEST_NAME came to its end (status $1)"
    checks_failed=$((checks_failed + 1))
}
