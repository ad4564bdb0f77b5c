#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fixed slice of seeds of the simulated clusters, and of the metadata quorum alone. For others:
# SIMULATE=build/tests/sim/simulate_cluster run_seeds.sh FROM COUNT.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${TOPICFS:=$here/../../build/broker/daemon/topicfs}"
programs=${TOPICFS%/broker/daemon/topicfs}/tests/sim
status=0
SIMULATE=$programs/simulate_cluster "$here/run_seeds.sh" 101 1600 || status=1
SIMULATE=$programs/simulate_quorum "$here/run_seeds.sh" 101 400 3000 || status=1
exit $status
