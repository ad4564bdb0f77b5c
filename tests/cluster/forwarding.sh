#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Writers on every mount, to partitions led anywhere, while a leader is killed: nothing lost, nothing twice, order kept, and
# no writer sees an error but those on the mount that died.
limit_seconds=120
. "$(dirname "$0")/../harness.sh"
. "$(dirname "$0")/cluster.sh"

lines=${LINES_EACH:-400}

# Writes its lines one by one, each acknowledged; says how many were, and how it ended.
writer() {
    local root=$1 partition=$2 name=$3 line
    {
        for ((line = 1; line <= lines; line++)); do
            echo "$name $line" || break
            echo "$line" > "$TEST_DIR/$name.done"
        done
    } >> "$root/log/$partition" 2> "$TEST_DIR/$name.errors"
    [ "$line" -gt "$lines" ]
}

has_written() {
    [ "$(cat "$TEST_DIR/$1.done" 2> /dev/null || echo 0)" -ge "$2" ]
}

all_in_sync() {
    isr_is_full log 0 3 && isr_is_full log 1 3 && isr_is_full log 2 3
}

cluster_open 3
cluster_start
one=$(mount_of 1)
mkdir "$one/log"
echo 3 > "$one/log/.config/partitions"
check 'three partitions everywhere' wait_for 20 test -e "$(mount_of 1)/log/2" -a -e "$(mount_of 2)/log/2" -a -e "$(mount_of 3)/log/2"
check 'with three replicas each' wait_for 20 all_in_sync

declare -A writers
for number in 1 2 3; do
    for partition in 0 1 2; do
        writer "$(mount_of "$number")" "$partition" "n$number-p$partition" &
        writers[n$number-p$partition]=$!
    done
done
for name in "${!writers[@]}"; do check "$name is under way" wait_for 20 has_written "$name" 20; done
victim=$(leader_of log 0)
member_kill "$victim"
for name in $(printf '%s\n' "${!writers[@]}" | sort); do
    case $name in
    n"$victim"-*) wait "${writers[$name]}" ;;
    *) check "$name never saw that node $victim died" wait "${writers[$name]}" ;;
    esac
done
check 'the node comes back' member_start "$victim"
check 'and in sync' wait_for 30 all_in_sync

# The lines of writer $1 in the file $2.
lines_of() {
    awk -v name="$1" '$1 == name { print $2 }' "$2"
}

same_everywhere() {
    local number
    for number in 1 2 3; do sha256sum < "$(mount_of "$number")/log/$1"; done | sort -u | wc -l | grep -qx 1
}

for partition in 0 1 2; do
    check "partition $partition is the same on all nodes" wait_for 10 same_everywhere "$partition"
    file=$(mount_of 1)/log/$partition
    for number in 1 2 3; do
        name=n$number-p$partition
        acknowledged=$(cat "$TEST_DIR/$name.done")
        [ "$number" = "$victim" ] || check_equal "$name was told of all its lines" "$lines" "$acknowledged"
        # Of the writer that died with its mount the last line may be there without having been acknowledged.
        there=$(lines_of "$name" "$file" | wc -l)
        check_equal "$name: each line once, in order" "$(seq "$there")" "$(lines_of "$name" "$file")"
        check "$name: $there lines, $acknowledged acknowledged" test "$there" -ge "$acknowledged" -a "$there" -le $((acknowledged + 1))
    done
done
finish
