# SPDX-License-Identifier: Apache-2.0
# Starts that must fail. Source it after harness.sh.

# refuses_to_start TEXT: a node on this test's data ends with status 1 and one line that contains TEXT.
refuses_to_start() {
    local status
    timeout 20 "$TOPICFS" -f --no-mount --override "log.dirs=$TEST_DIR/data" \
        --override 'listeners=PLAINTEXT://127.0.0.1:0' > "$TEST_DIR/refusal" 2>&1
    status=$?
    [ $status -eq 1 ] && [ "$(wc -l < "$TEST_DIR/refusal")" -eq 1 ] && grep -qF "$1" "$TEST_DIR/refusal" && return
    echo "status $status, said:"
    cat "$TEST_DIR/refusal"
    return 1
}
