#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sound requests that ask for too much or for what is not theirs: Kafka's error for each, bounded memory.
. "$(dirname "$0")/node.sh"
run_hostile requests.py group.initial.rebalance.delay.ms=0 group.max.size=10 topicfs.durability=replicated
