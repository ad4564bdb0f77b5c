#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that topicfs needs: install_packages.sh [build|test]
#   build  what compiles and runs it (default)      test  that, and what tests/run.sh uses
# Debian 12 or 13, as root or through sudo. Does nothing, and needs no network, when all is there.
set -euo pipefail

# Everything older can lose a committed entry of the metadata log.
raft_minimum=0.22.1
# The Go client needs a newer compiler than Debian 12's own.
go_minimum=1.21

build_packages=(gcc libc6-dev meson ninja-build pkgconf python3 fuse3 libfuse3-dev libuv1-dev
    libraft-dev libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev libssl-dev libjansson-dev
    uthash-dev libisal-dev kcat procps)
test_packages=(attr ca-certificates ccache clang clang-tidy curl e2fsprogs git iproute2 less
    libcmocka-dev libfaketime librdkafka-dev llvm make nftables patch python3-venv rsync strace tar
    util-linux)

refuse() {
    echo "install_packages.sh: $*" >&2
    exit 1
}

version_installed() {
    dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2> /dev/null | sed -n 's/^installed //p'
}

# True where package $1 is installed, at version $2 or newer when that is given.
is_installed() {
    local version
    version=$(version_installed "$1")
    [ -n "$version" ] || return 1
    [ -z "${2:-}" ] || dpkg --compare-versions "$version" ge "$2"
}

# True where apt knows a version of package $1 that it can install.
is_offered() {
    [ -n "$(apt-cache policy "$1" 2> /dev/null | sed -n 's/^  Candidate: [^(]/&/p')" ]
}

# The releases (one a line, "VERSION SUITE") in which apt finds package $1.
releases_of() {
    apt-cache madison "$1" 2> /dev/null | awk -F'|' '{ split($3, place, " "); sub("/.*", "", place[2]);
        gsub(" ", "", $2); print $2, place[2] }'
}

# Programs that may have come from elsewhere (a newer Go or Node.js): a package only where they lack.
has_go() {
    local version
    version=$(GOTOOLCHAIN=local go version 2> /dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p')
    [ -n "$version" ] && dpkg --compare-versions "$version" ge "$go_minimum"
}

# Prints what is missing, a package a line. Packages that only some releases have are asked of apt.
missing_packages() {
    local package wanted=("${build_packages[@]}") clang_version
    [ "$purpose" = build ] || wanted+=("${test_packages[@]}")
    for package in "${wanted[@]}"; do
        case $package in
        libraft-dev) is_installed "$package" "$raft_minimum" || echo "$package" ;;
        *) is_installed "$package" || echo "$package" ;;
        esac
    done
    [ "$purpose" = test ] || return 0
    clang_version=$(apt-cache depends clang 2> /dev/null | sed -n 's/^  Depends: clang-\([0-9]*\)$/\1/p')
    for package in clang-format-14 ${clang_version:+"libclang-rt-$clang_version-dev"}; do
        is_installed "$package" || ! is_offered "$package" || echo "$package"
    done
    command -v javac > /dev/null || echo default-jdk-headless
    command -v mvn > /dev/null || echo maven
    command -v node > /dev/null || echo nodejs
    command -v npm > /dev/null || echo npm
    has_go || echo golang-go
}

# Prints the machine's own entries for suite $1, "URI|SIGNED-BY|COMPONENTS" a line, from both formats.
own_sources() {
    local files=()
    for file in /etc/apt/sources.list.d/*.sources; do [ ! -e "$file" ] || files+=("$file"); done
    [ ${#files[@]} -eq 0 ] || awk -v suite="$1" '
        function flush_entry() {
            if ((" " types " ") ~ " deb " && index(" " suites " ", " " suite " ") && enabled != "no")
                print uris "|" signed "|" components
            types = suites = uris = signed = components = enabled = ""
        }
        FNR == 1 || /^[ \t]*$/ { flush_entry() }
        /^#/ { next }
        { value = $0; sub("^[^:]*:[ \t]*", "", value) }
        tolower($1) == "types:" { types = value }
        tolower($1) == "suites:" { suites = value }
        tolower($1) == "uris:" { uris = value }
        tolower($1) == "components:" { components = value }
        tolower($1) == "signed-by:" { signed = value }
        tolower($1) == "enabled:" { enabled = tolower(value) }
        END { flush_entry() }' "${files[@]}"
    files=()
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$file" ] || files+=("$file")
    done
    [ ${#files[@]} -eq 0 ] || awk -v suite="$1" '
        $1 == "deb" {
            signed = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART + 1, RLENGTH - 2)
                if (match(options, /signed-by=[^ ]*/))
                    signed = substr(options, RSTART + 10, RLENGTH - 10)
                sub(/\[[^]]*\]/, "")
            }
            if ($3 == suite) {
                components = $4
                for (i = 5; i <= NF; i++) components = components " " $i
                print $2 "|" signed "|" components
            }
        }' "${files[@]}"
}

# Debian 12 has a new enough libraft only in its backports: adds them from where this machine already
# gets Debian itself, so that a mirror or a proxy stays in use.
add_backports() {
    local codename=$1 uris='' signed='' entry
    entry=/etc/apt/sources.list.d/topicfs-backports.sources
    [ ! -e "$entry" ] || return 0
    IFS='|' read -r uris signed _ < <(own_sources "$codename") || true
    [ -n "$uris" ] || refuse "no apt source for $codename to derive $codename-backports from"
    {
        echo "# Added by topicfs (examples/install_packages.sh) for libraft $raft_minimum or newer."
        echo "Types: deb"
        echo "URIs: $uris"
        echo "Suites: $codename-backports"
        echo "Components: main"
        [ -z "$signed" ] || echo "Signed-By: $signed"
    } | as_root tee "$entry" > /dev/null
    update_lists
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs apt-get quietly; what it printed is shown only when it failed.
run_apt() {
    local output
    output=$(mktemp)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq \
        -o DPkg::Lock::Timeout=300 "$@" > "$output" 2>&1; then
        cat "$output" >&2
        rm -f "$output"
        refuse "apt-get $1 failed"
    fi
    rm -f "$output"
}

update_lists() {
    run_apt update
}

# Prints package $1 as apt should install it: from backports where the suite's own one is older than $2.
choose_release() {
    local candidate version suite
    candidate=$(apt-cache policy "$1" | sed -n 's/^  Candidate: //p')
    if dpkg --compare-versions "$candidate" ge "$2"; then
        echo "$1"
        return
    fi
    while read -r version suite; do
        if [ "$suite" = "$codename-backports" ] && dpkg --compare-versions "$version" ge "$2"; then
            echo "$1/$suite"
            return
        fi
    done < <(releases_of "$1")
    return 1
}

purpose=${1:-build}
case $purpose in build | test) ;; *) refuse "usage: install_packages.sh [build|test]" ;; esac
codename=$(. /etc/os-release 2> /dev/null && echo "${ID:-}-${VERSION_CODENAME:-}")
case $codename in
debian-bookworm | debian-trixie) codename=${codename#debian-} ;;
*) refuse "needs Debian 12 (bookworm) or 13 (trixie), this is ${codename%-}" ;;
esac

missing=$(missing_packages)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] && ! command -v sudo > /dev/null; then
    refuse "run as root or install sudo; missing: ${missing//$'\n'/ }"
fi

echo "install_packages.sh: installing $(wc -w <<< "$missing") packages"
update_lists
install=()
for package in $(missing_packages); do
    case $package in
    libraft-dev)
        choose_release "$package" "$raft_minimum" > /dev/null || add_backports "$codename"
        install+=("$(choose_release "$package" "$raft_minimum")") ||
            refuse "no libraft-dev $raft_minimum or newer in $codename and its backports"
        ;;
    golang-go)
        choose_release "$package" "2:$go_minimum" > /dev/null || add_backports "$codename"
        chosen=$(choose_release "$package" "2:$go_minimum") || chosen=$package
        install+=("$chosen")
        [ "$chosen" = "$package" ] || install+=("golang-src/${chosen#*/}")
        ;;
    *) install+=("$package") ;;
    esac
done
run_apt install --no-install-recommends "${install[@]}"

still=$(missing_packages)
[ -z "$still" ] || refuse "still missing after the installation: ${still//$'\n'/ }"
