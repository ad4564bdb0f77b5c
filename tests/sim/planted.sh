#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bugs planted one at a time in a copy of the tree (tests/sim/planted/*.patch): the simulator catches each of them
# within its first seeds, and finds nothing in as many without them. planted_cluster.sh does the same with other
# folders of patches and their programs.
limit_seconds=600
. "$(dirname "$0")/../harness.sh"
needs git patch meson ninja

: "${sets:=planted:simulate:1000}" # folder:program:seeds
tree=$TEST_DIR/tree

copy_tree() {
    mkdir "$tree" && (cd "$source_root" && git ls-files -z --cached --others --exclude-standard \
        | xargs -0 ls -d 2> /dev/null | tar -cf - -T -) | tar -xf - -C "$tree"
}

build_simulator() {
    ninja -C "$tree/build" "tests/sim/$program" > "$TEST_DIR/build.log" 2>&1
}

# Succeeds when the first seeds show a broken promise or a broken belief (an assertion's abort); running out of time
# shows nothing.
catches() {
    timeout 120 "$tree/build/tests/sim/$program" --seed 1 --count "$seeds" > "$TEST_DIR/$1.log" 2>&1
    status=$?
    [ $status -ne 0 ] && [ $status -ne 124 ]
}

finds_nothing() {
    timeout 240 "$tree/build/tests/sim/$program" --seed 1 --count "$seeds" > "$TEST_DIR/none.log" 2>&1
}

check 'the tree is copied' copy_tree
check 'the tree is ready to build' eval \
    'meson setup "$tree/build" "$tree" -Doptimization=1 > "$TEST_DIR/setup.log" 2>&1'
for set in $sets; do
    IFS=: read -r folder program seeds <<< "$set"
    check "$program builds" build_simulator
    check "$program finds nothing without a planted bug" finds_nothing
    for patch in "$source_root/tests/sim/$folder"/*.patch; do
        name=$(basename "$patch" .patch)
        if ! patch -s -p1 -d "$tree" < "$patch" || ! build_simulator; then
            fail "$name: the patch applies and builds"
            tail -n 5 "$TEST_DIR/build.log"
        else
            check "$name is caught" catches "$name"
            echo "  $(grep -h 'BROKEN\|ssert\|belief' "$TEST_DIR/$name.log" | head -n 1)"
        fi
        patch -s -R -p1 -d "$tree" < "$patch"
    done
done
rm -rf "$tree"
finish
