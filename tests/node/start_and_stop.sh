#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A daemon's life without a mount: starting in the background, being refused, stopping, starting again.
limit_seconds=120
mount=no
. "$(dirname "$0")/../harness.sh"

data=$TEST_DIR/data
choose_port
daemon=(--no-mount --override "log.dirs=$data" --override "listeners=PLAINTEXT://127.0.0.1:$PORT")

pid_ended() { ! kill -0 "$1" 2> /dev/null; }

end_daemon() {
    NODE_PID=$(cat "$data/topicfs.pid")
    kill -TERM "$NODE_PID"
    check "the daemon ends within ten seconds" wait_for 10 pid_ended "$NODE_PID"
    NODE_PID=
}

check 'the command returns with status 0' "$TOPICFS" "${daemon[@]}"
check 'and the port answers already' port_answers "$PORT"
check 'the pid file names the node' kill -0 "$(cat "$data/topicfs.pid")"
check 'the node reports to its own file' grep -q event=node_started "$data/topicfs.report"

said=$("$TOPICFS" "${daemon[@]}" 2>&1)
check_equal 'a second node on the same data is refused' 1 $?
check_equal 'in one line' "topicfs: cannot start: $data is in use by another node" "$said"
said=$("$TOPICFS" --no-mount --override "log.dirs=$TEST_DIR/other" \
    --override "listeners=PLAINTEXT://127.0.0.1:$PORT" 2>&1)
check_equal 'a second node on the same port is refused' 1 $?
check_equal 'in one line, too' 1 "$(printf '%s\n' "$said" | wc -l)"
if [[ $said == *"Address already in use"* ]]; then pass 'that says why'; else fail "that says why: $said"; fi

mv "$data/topicfs.report" "$data/topicfs.report.1"
kill -HUP "$(cat "$data/topicfs.pid")"
check 'SIGHUP opens the file of reports anew' wait_for 5 test -e "$data/topicfs.report"

printf 'a\nb\nc\n' | produce things 0
check_equal 'records are served' "a b c" "$(consume things 0 | tr '\n' ' ' | sed 's/ $//')"
end_daemon
check_not 'the pid file is gone' test -e "$data/topicfs.pid"
check_not 'the port is free' port_answers "$PORT"
check 'the stop was clean' test -e "$data/.kafka_cleanshutdown"

check_not 'a node set to what it can do has no warning' grep -q settings_without_effect "$data/topicfs.report"
check 'it starts again' "$TOPICFS" "${daemon[@]}" --override num.io.threads=9 \
    --override transaction.max.timeout.ms=5000
check_equal 'and says once what was set in vain' 1 \
    "$(grep -c 'event=settings_without_effect.*num.io.threads, transaction.max.timeout.ms' "$data/topicfs.report")"
check_equal 'with what it had' "a b c" "$(consume things 0 | tr '\n' ' ' | sed 's/ $//')"
end_daemon

said=$("$TOPICFS" "${daemon[@]}" --override node.id=7 2>&1)
check_equal 'data of another node is refused' 1 $?
if [[ $said == *"belongs to node 1, but node.id is 7"* ]]; then pass 'and named'; else fail "and named: $said"; fi

cat > "$TEST_DIR/listen.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
for _ in range(2):
    print(s.recv(100).decode(), flush=True)
END
: > "$TEST_DIR/notified"
python3 "$TEST_DIR/listen.py" "$TEST_DIR/notify" >> "$TEST_DIR/notified" &
listener=$!
wait_for 10 grep -q listening "$TEST_DIR/notified"
export NOTIFY_SOCKET=$TEST_DIR/notify
start_node
check 'the service manager hears that it is ready' wait_for 5 grep -q READY=1 "$TEST_DIR/notified"
stop_node
check 'and that it stops' wait_for 5 grep -q STOPPING=1 "$TEST_DIR/notified"
unset NOTIFY_SOCKET
wait $listener

start_node
check_equal 'in the foreground it serves the same' "a b c" "$(consume things 0 | tr '\n' ' ' | sed 's/ $//')"
stop_node
finish
