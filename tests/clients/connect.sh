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
