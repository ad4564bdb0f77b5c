#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Strangers that say they are nodes of the cluster: told why not, closed, and nobody else notices.
. "$(dirname "$0")/node.sh"
run_hostile nodes.py topicfs.connection.receive.timeout.ms=2000
