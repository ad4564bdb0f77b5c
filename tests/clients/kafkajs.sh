#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kafkajs: producing, consuming, groups and administration.
limit_seconds=300
. "$(dirname "$0")/connect.sh"

install_modules() {
    cp "$suite_dir/kafkajs/package.json" "$1/" &&
        (cd "$1" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts \
            --fetch-retries 1 --fetch-retry-mintimeout 1000 --fetch-timeout 30000)
}

needs node npm
modules=$(cache_for kafkajs "$suite_dir/kafkajs/package.json")
prepare "$modules" install_modules
connect
NODE_PATH=$modules/node_modules KAFKAJS_NO_PARTITIONER_WARNING=1 run_program node "$suite_dir/kafkajs/suite.js"
connect_cluster
NODE_PATH=$modules/node_modules KAFKAJS_NO_PARTITIONER_WARNING=1 run_program node "$suite_dir/kafkajs/suite.js"
disconnect_cluster
