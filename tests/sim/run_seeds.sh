#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs seeds FROM .. FROM + COUNT - 1 of the simulator, two at a time: run_seeds.sh [FROM COUNT [STEPS]]; without
# them a fixed slice, as a test. Uses the simulator beside $TOPICFS or in build; $SIMULATE names another.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${TOPICFS:=$root/build/broker/daemon/topicfs}"
: "${SIMULATE:=${TOPICFS%/broker/daemon/topicfs}/tests/sim/simulate}"
from=${1:-1001} count=${2:-1000} steps=${3:-1500} chunk=50
last=$((from + count - 1))
export SIMULATE steps last chunk
[ -x "$SIMULATE" ] || { echo "not ok - $SIMULATE is not built"; exit 1; }
# A seed that ends the program does not hide those behind it.
seq "$from" "$chunk" "$last" | xargs -P 2 -I {} bash -c '
    seed={} end=$(({} + chunk - 1)) status=0
    [ "$end" -le "$last" ] || end=$last
    while [ "$seed" -le "$end" ]; do
        output=$("$SIMULATE" --seed "$seed" --count $((end - seed + 1)) --steps "$steps" 2>&1) && break
        printf "%s\n" "$(tail -n 3 <<< "$output")"
        status=1 seed=$(($(grep -o "^seed [0-9]*" <<< "$output" | tail -n 1 | cut -d " " -f 2) + 1))
    done
    exit $status'
if [ $? -eq 0 ]; then
    echo "ok - $count seeds from $from: no promise is broken"
else
    echo "not ok - $count seeds from $from: a promise is broken"
    exit 1
fi
