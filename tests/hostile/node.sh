# SPDX-License-Identifier: Apache-2.0
# Runs a suite of hostile inputs against a node of its own.

. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"
hostile_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# run_hostile PROGRAM [KEY=VALUE...]
run_hostile() {
    local program=$1
    shift
    needs python3
    mount=no
    start_node "$@"
    PORT=$PORT NODE_PID=$NODE_PID NODE_LOG=$NODE_LOG PYTHONDONTWRITEBYTECODE=1 \
        python3 "$hostile_dir/$program" || checks_failed=$((checks_failed + 1))
    check 'the node lives' node_runs
    stop_node
    finish
}
