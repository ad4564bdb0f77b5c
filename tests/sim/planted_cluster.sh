#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As planted.sh, with the bugs that only a cluster shows, or the metadata quorum alone.
sets='planted_quorum:simulate_quorum:4000 planted_cluster:simulate_cluster:1000'
. "$(dirname "$0")/planted.sh"
