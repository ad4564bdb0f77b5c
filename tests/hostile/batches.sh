#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Batches that are not what they say: refused with Kafka's error, nothing of them stored, bounded memory.
. "$(dirname "$0")/node.sh"
run_hostile batches.py topicfs.durability=replicated
