#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Frames that lie about their size, other protocols, peers that never get on: closed, and nobody else notices.
. "$(dirname "$0")/node.sh"
run_hostile frames.py topicfs.connection.receive.timeout.ms=2000 topicfs.connection.send.timeout.ms=2000
