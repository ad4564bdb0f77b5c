#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writes resume soon after the kill -9 of a leader, and a leader that moves by election or stops in good order is hardly felt.
: "${FAILOVERS:=4}"
limit_seconds=$((100 + FAILOVERS * 15))
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"
. "$(dirname "$0")/clients.sh"

# The longest time, in ms, for which producer $1 had no acknowledgement, by what was noted of it since.
watch_begin() {
    "$TEST_DIR/gap_watch" "$TEST_DIR/$1.journal" > "$TEST_DIR/$1.gap" &
    watch_pid=$!
    check 'the watch has begun' wait_for 30 test -s "$TEST_DIR/$1.gap"
}

watch_end() {
    kill -TERM "$watch_pid"
    wait_for 30 grep -q '^[0-9]' "$TEST_DIR/$1.gap" # A subshell cannot wait for it.
    tail -n 1 "$TEST_DIR/$1.gap"
}

# Looks every millisecond whether the journal has grown.
cat > "$TEST_DIR/gap_watch.c" <<'WATCH'
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
static volatile sig_atomic_t stopping;
static void on_stop(int number) { (void)number; stopping = 1; }
static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}
int main(int argument_count, char **arguments)
{
    struct stat status;
    long long size = -1, moved = now_ms(), longest = 0;
    signal(SIGTERM, on_stop);
    puts("watching");
    fflush(stdout);
    while (argument_count == 2 && !stopping && stat(arguments[1], &status) == 0) {
        long long now = now_ms();
        if (now - moved > longest)
            longest = now - moved;
        if (status.st_size != size)
            moved = now;
        size = status.st_size;
        poll(NULL, 0, 1);
    }
    printf("%lld\n", longest);
    return 0;
}
WATCH

clients_build
cc -std=gnu11 -Wall -Wextra -Werror -o "$TEST_DIR/gap_watch" "$TEST_DIR/gap_watch.c" || fail 'gap_watch builds'
cluster_open 3
cluster_start
make_topic one 1
start_port_producer one 1 g1 idempotent topic.metadata.refresh.fast.interval.ms=20
journals[port]=${journals[one]} # What clients_work looks at.
worst=0
for ((round = 0; round < FAILOVERS; round++)); do
    wait_for 30 all_in_sync one 1 3 || fail 'replicas are in sync before a kill'
    clients_work 300 "before kill $round" || break
    leader=$(leader_of one 0)
    watch_begin g1
    member_kill "$leader"
    clients_work 300 "after kill $round" || break
    gap=$(watch_end g1)
    echo "round $round: node $leader killed, no acknowledgement for $gap ms"
    [ "$gap" -le "$worst" ] || worst=$gap
    member_start "$leader"
done
check "writes resumed within 10 s of every kill (at worst $worst ms; 3000 is wanted on a quiet machine)" test "$worst" -lt 10000

worst=0
for number in "${NODES[@]}"; do
    wait_for 30 all_in_sync one 1 3 || fail 'replicas are in sync before a stop'
    clients_work 300 "before the stop of node $number" || break
    watch_begin g1
    member_stop "$number"
    clients_work 300 "after the stop of node $number" || break
    gap=$(watch_end g1)
    echo "node $number stopped in good order, no acknowledgement for $gap ms"
    [ "$gap" -le "$worst" ] || worst=$gap
    member_start "$number"
done
check "and of every stop within 3 s (at worst $worst ms; 50 is wanted on a quiet machine)" test "$worst" -lt 3000
unset 'journals[port]'
stop_producers
check_topic one 1
replicas_agree one 1
finish
