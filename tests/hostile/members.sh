#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Peers that know the cluster's token and say nonsense: each is closed or told so, and nobody else notices.
. "$(dirname "$0")/node.sh"
choose_port
export TOKEN=$TEST_DIR/token
(umask 077 && head -c 32 /dev/urandom | base64 > "$TOKEN")
run_hostile members.py "topicfs.nodes=127.0.0.1:$PORT" "topicfs.token.file=$TOKEN" topicfs.connection.receive.timeout.ms=2000
