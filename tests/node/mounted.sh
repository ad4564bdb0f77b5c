#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A daemon with a mount: when the command returns both doors answer; umount, SIGTERM and kill -9 end it.
limit_seconds=120
. "$(dirname "$0")/../harness.sh"
needs fusermount3 kcat
[ -c /dev/fuse ] || skip_all 'there is no /dev/fuse here'

data=$TEST_DIR/data
choose_port
mkdir -p "$MOUNT"
daemon=(--override "log.dirs=$data" --override "listeners=PLAINTEXT://127.0.0.1:$PORT" "$MOUNT")

pid_ended() { ! kill -0 "$1" 2> /dev/null; }
not_mounted() { ! mountpoint -q "$MOUNT"; }

check 'the command returns with status 0' "$TOPICFS" "${daemon[@]}"
NODE_PID=$(cat "$data/topicfs.pid")
check 'the mount answers' test -e "$MOUNT/.health"
check 'the port answers' port_answers "$PORT"
check 'it is listed as ours' grep -q " $MOUNT fuse.topicfs " /proc/self/mounts

said=$("$TOPICFS" --override "log.dirs=$TEST_DIR/other" --override listeners=PLAINTEXT://127.0.0.1:0 "$MOUNT" 2>&1)
check_equal 'a second node on the same mount point is refused' 1 $?
check_equal 'in one line' 1 "$(printf '%s\n' "$said" | wc -l)"
check 'the first goes on' test -e "$MOUNT/.health"

check 'umount is allowed' fusermount3 -u "$MOUNT"
check 'and stops the node' wait_for 10 pid_ended "$NODE_PID"
check 'cleanly' test -e "$data/.kafka_cleanshutdown"
check_not 'with its port' port_answers "$PORT"

check 'it starts again' "$TOPICFS" "${daemon[@]}"
NODE_PID=$(cat "$data/topicfs.pid")
kill -TERM "$NODE_PID"
check 'SIGTERM stops it' wait_for 10 pid_ended "$NODE_PID"
check 'and takes the mount away' not_mounted

check 'it starts once more' "$TOPICFS" "${daemon[@]}"
NODE_PID=$(cat "$data/topicfs.pid")
exec 9< "$MOUNT/.help"
kill -TERM "$NODE_PID"
check 'SIGTERM stops it although a file is open' wait_for 10 pid_ended "$NODE_PID"
exec 9<&-
check 'and takes the mount away' not_mounted

check 'it starts after that' "$TOPICFS" "${daemon[@]}"
NODE_PID=$(cat "$data/topicfs.pid")
kill -KILL "$NODE_PID"
check 'killed, it is gone' wait_for 10 pid_ended "$NODE_PID"
check_error 'its mount is dead' 'Transport endpoint is not connected' ls "$MOUNT"
check 'it starts over the dead mount' "$TOPICFS" "${daemon[@]}"
NODE_PID=$(cat "$data/topicfs.pid")
check 'and the mount answers' test -e "$MOUNT/.health"
stop_waits() { kill -TERM "$NODE_PID" && wait_for 10 pid_ended "$NODE_PID"; }
check 'and it stops' stop_waits
NODE_PID=
finish
