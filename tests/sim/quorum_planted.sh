#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What Raft stands on, broken one at a time: the simulated quorum shows each within a few seeds, and nothing without.
limit_seconds=300
. "$(dirname "$0")/../harness.sh"

simulate=${TOPICFS%/broker/daemon/topicfs}/tests/sim/simulate_quorum

catches() {
    timeout 120 "$simulate" --seed 1 --count 100 --plant "$1" > "$TEST_DIR/$1.log" 2>&1
    [ $? -ne 0 ]
}

for bug in vote_not_synced append_not_synced; do
    check "$bug is caught" catches $bug
    echo "  $(grep -h 'BROKEN\|belief' "$TEST_DIR/$bug.log" | head -n 1)"
done
finish
