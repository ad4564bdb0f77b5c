#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs, builds and runs every test, or only those named: run.sh [SUITE|SUITE/TEST]...
#   unit asan tsan        the programs of `meson test`: gcc; clang with address and undefined-behaviour
#                         sanitizers; clang with the thread sanitizer
#   tidy fuzz             the house rules; each fuzz target for a short run with a fixed seed
#   node mount hostile crash readme sim clients cluster   the scripts tests/SUITE/*.sh (see tests/harness.sh)
# How often the crash tests do it: ROUNDS (kill -9, 25), CUTS (power cuts, 8), STOPS (8); a release does 100 of each.
# The cluster's: CYCLES (kill -9, 60), PARTITIONS (of the network, 30), PAUSES (8), JUMPS (8), CUTS; a release does 300 CYCLES, 50 CUTS.
# The last line is "N passed, N failed, N skipped" over all of it. With CI=true what is skipped counts as failed.
# Each run builds afresh in build-gcc, build-asan and build-tsan; logs are in build-logs.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

script_suites=(node mount hostile crash readme sim clients cluster)
all_suites=(tidy unit asan tsan fuzz "${script_suites[@]}")
logs=$PWD/build-logs
results=$logs/results
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=("${all_suites[@]}")

# True where $1 (SUITE, or SUITE/TEST) is among what was asked for.
is_wanted() {
    local name
    for name in "${wanted[@]}"; do
        case $1 in "$name" | "$name"/*) return 0 ;; esac
        case $name in "$1"/*) return 0 ;; esac
    done
    return 1
}

# Writes down one outcome: passed, failed or skipped; of what; why.
note() {
    printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >> "$results"
    [ "$1" = passed ] || printf '%-8s %s: %s\n' "$1" "$2" "${3:-}"
}

count() {
    awk -F'\t' -v outcome="$1" '$1 == outcome { n++ } END { print n + 0 }' "$results"
}

# Closes the run: the line that counts, and the status.
conclude() {
    local passed failed skipped
    passed=$(count passed) failed=$(count failed) skipped=$(count skipped)
    [ "$failed" -eq 0 ] || echo "logs: $logs"
    if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
        echo "CI: what was skipped counts as failed"
        failed=$((failed + skipped)) skipped=0
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

# A program that says nothing and ends well has passed; a script that does has checked nothing.
note_silent() {
    case ${1%%/*} in
    tidy | fuzz) note passed "$1" ;;
    *) note failed "$1" "checked nothing" ;;
    esac
}

# Counts the outcomes in the output $2 of test $1, which ended with status $3.
count_output() {
    local name=$1 output=$2 status=$3 counted failures words
    counted=$(grep -c '^\(ok\|not ok\|skip\) - ' "$output")
    failures=$(grep -c '^not ok - ' "$output")
    while read -r words; do note passed "$name" "${words#ok - }"; done < <(grep '^ok - ' "$output")
    while read -r words; do note failed "$name" "${words#not ok - }"; done < <(grep '^not ok - ' "$output")
    while read -r words; do note skipped "$name" "${words#skip - }"; done < <(grep '^skip - ' "$output")
    case $status in
    0) [ "$counted" -gt 0 ] || note_silent "$name" ;;
    124 | 137) note failed "$name" "took longer than its limit" ;;
    *) [ "$failures" -gt 0 ] || note failed "$name" "ended with status $status" ;;
    esac
    [ "$status" -eq 0 ] || tail -n 30 "$output" | sed 's/^/    /'
}

# Runs test $1, the command after it, and keeps its output as a log.
run_test() {
    local name=$1 output=$logs/${1//\//-}.log status started=$SECONDS
    shift
    "$@" > "$output" 2>&1 < /dev/null
    status=$?
    (
        flock 9
        echo "$name ($((SECONDS - started)) s)"
        count_output "$name" "$output" $status
    ) 9> "$logs/lock"
}

# A fresh build in directory $1 with the meson options after it; the run ends where it does not build.
build() {
    local dir=$1 started=$SECONDS
    shift
    rm -rf "$dir"
    if ! { meson setup "$dir" --werror "$@" && ninja -C "$dir"; } > "$logs/$dir.log" 2>&1; then
        tail -n 40 "$logs/$dir.log"
        note failed "$dir" "does not build; see $logs/$dir.log"
        conclude
    fi
    note passed "$dir" "builds"
    echo "$dir ($((SECONDS - started)) s)"
}

# Runs the meson tests of build directory $2 as suite $1; the rest are options of `meson test`.
run_meson_tests() {
    local suite=$1 dir=$2 started=$SECONDS
    shift 2
    "${runner[@]}" meson test -C "$dir" --no-rebuild --no-suite tidy --no-suite bench "$@" \
        > "$logs/$suite.log" 2>&1 < /dev/null
    echo "$suite ($((SECONDS - started)) s)"
    python3 tests/read_meson_log.py "$suite" "$dir/meson-logs/testlog.json" > "$logs/$suite.outcomes"
    while IFS=$'\t' read -r outcome name words; do note "$outcome" "$name" "$words"; done \
        < "$logs/$suite.outcomes"
    grep -q . "$logs/$suite.outcomes" || note failed "$suite" "ran no test; see $logs/$suite.log"
}

# The thread sanitizer of these compilers needs addresses laid out as they were before Linux 6.
fixed_addresses() {
    runner=()
    ! setarch "$(uname -m)" -R true 2> /dev/null || runner=(setarch "$(uname -m)" -R)
}

run_fuzz_targets() {
    local target name corpora seeds
    while read -r target; do
        name=$(basename "$target")
        is_wanted "fuzz/$name" || continue
        corpora=("$logs/$name")
        mkdir -p "$logs/$name"
        seeds=${target%_fuzz}_seeds
        [ ! -x "$seeds" ] || "$seeds" "$logs/$name"
        [ ! -d "tests/fuzz/corpus/${name%_fuzz}" ] || corpora+=("tests/fuzz/corpus/${name%_fuzz}")
        run_test "fuzz/$name" timeout 300 "$target" -runs=20000 -seed=1 -max_total_time=60 \
            -artifact_prefix="$logs/$name/" "${corpora[@]}"
    done < <(find build-asan -type f -name '*_fuzz' -perm -u+x | sort)
}

# The scripts wanted of all suites, two at a time: each has a node, a port and a directory of its own.
run_scripts() {
    local suite script running=0
    for suite in "${script_suites[@]}"; do
        for script in tests/"$suite"/*.sh; do
            [ -x "$script" ] || continue
            is_wanted "$suite/$(basename "$script" .sh)" || continue
            if [ $running -ge 2 ]; then
                wait -n
                running=$((running - 1))
            fi
            run_test "$suite/$(basename "$script" .sh)" "$script" &
            running=$((running + 1))
        done
    done
    wait
}

wants_any() {
    local suite
    for suite; do ! is_wanted "$suite" || return 0; done
    return 1
}

rm -rf "$logs"
mkdir -p "$logs"
: > "$results"
export TOPICFS=$PWD/build-gcc/broker/daemon/topicfs TEST_LOGS=$logs
# A report of any sanitizer fails its test. Tests of crashes fork, which the thread sanitizer must bear.
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=die_after_fork=0
runner=()
trap 'kill $(jobs -p) 2> /dev/null; exit 130' INT TERM

examples/install_packages.sh test || { note failed packages "not installed"; conclude; }
! is_wanted tidy || [ ! -e tests/tidy.py ] || run_test tidy python3 tests/tidy.py
! wants_any unit "${script_suites[@]}" || build build-gcc --buildtype=debugoptimized
! is_wanted unit || run_meson_tests unit build-gcc
if wants_any asan fuzz; then
    CC=clang build build-asan -Db_sanitize=address,undefined -Db_lundef=false
fi
! is_wanted asan || run_meson_tests asan build-asan --suite unit
if is_wanted tsan; then
    CC=clang build build-tsan -Db_sanitize=thread -Db_lundef=false
    fixed_addresses
    run_meson_tests tsan build-tsan --suite unit
    runner=()
fi
! is_wanted fuzz || run_fuzz_targets
! wants_any "${script_suites[@]}" || run_scripts
conclude
