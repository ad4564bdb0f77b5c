#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Requests that do not decode: the connection is closed, no memory goes with them, and nobody else notices.
. "$(dirname "$0")/node.sh"
run_hostile decoding.py
