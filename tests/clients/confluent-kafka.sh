#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# confluent-kafka for Python, with a librdkafka newer than Debian's: producing, consuming, groups, administration.
limit_seconds=300
. "$(dirname "$0")/connect.sh"
. "$suite_dir/python/prepare.sh"

prepare_python
connect
run_program "$environment/bin/python" "$suite_dir/python/confluent_kafka_test.py"
connect_cluster
run_program "$environment/bin/python" "$suite_dir/python/confluent_kafka_test.py"
disconnect_cluster
