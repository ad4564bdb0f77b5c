#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# franz-go: producing, consuming, groups and administration.
limit_seconds=300
. "$(dirname "$0")/connect.sh"

export GOTOOLCHAIN=local GOFLAGS=-mod=readonly

fetch_modules() {
    (cd "$suite_dir/franz-go" && go mod download)
}

needs go
prepare "$(cache_for franz-go "$suite_dir/franz-go/go.sum")" fetch_modules
check 'the test program builds' eval '(cd "$suite_dir/franz-go" && go build -o "$TEST_DIR/suite" .)'
connect
run_program "$TEST_DIR/suite"
connect_cluster
run_program "$TEST_DIR/suite"
disconnect_cluster
