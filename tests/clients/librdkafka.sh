#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# librdkafka (Debian's) from C: producing, consuming, groups and administration.
limit_seconds=300
. "$(dirname "$0")/connect.sh"

needs cc pkg-config
pkg-config --exists rdkafka || skip_all 'librdkafka: its development files are not installed'
# shellcheck disable=SC2046
check 'the test program builds' cc -std=gnu11 -Wall -Wextra -Werror -O1 -g -I "$suite_dir/librdkafka" \
    -o "$TEST_DIR/program" "$suite_dir"/librdkafka/*.c $(pkg-config --cflags --libs rdkafka) -lpthread
connect
run_program "$TEST_DIR/program"
connect_cluster
run_program "$TEST_DIR/program"
disconnect_cluster
