#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs seeds FROM .. FROM + COUNT - 1 of the simulator, two at a time: run_seeds.sh FROM COUNT [STEPS].
# Needs build/tests/sim/simulate ($SIMULATE names another). Prints the seeds that broke a promise; status 1 then.
set -uo pipefail
[ $# -ge 2 ] || { echo "usage: $0 FROM COUNT [STEPS]" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
: "${SIMULATE:=$root/build/tests/sim/simulate}"
from=$1 count=$2 steps=${3:-1500}
export SIMULATE steps
seq "$from" $((from + count - 1)) | xargs -P 2 -I {} bash -c '
    output=$("$SIMULATE" --seed {} --steps "$steps" 2>&1) && exit 0
    printf "seed %s: %s\n" {} "$(tail -n 3 <<< "$output")"
    exit 1'
status=$?
[ $status -eq 0 ] && echo "$count seeds from $from: no promise broken"
[ $status -eq 0 ]
