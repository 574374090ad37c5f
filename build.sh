#!/usr/bin/env bash
# Everything a person does with this tree, one verb each; `./build.sh help` lists them. A verb first
# installs the Debian packages that it misses.
set -euo pipefail
cd "$(dirname "$0")"

# verb | arguments | what it does. A verb is the function do_VERB below.
verbs='
build   | [KIND]               | build build/bin/hivemind, build/modules/*.so, build/nginx/ngx_hivemind.so
demo    | [--once]             | run a whole cluster on this machine; --once checks it without a person
test    | [--full]             | all tests; ends with `N passed, N failed`; --full adds the long ones
sim     | [SEED..] [--planted] | replay simulated clusters from seeds; --scenario [NAME]; find planted bugs
fuzz    | [NAME] [SECONDS]     | run one fuzzer of tests/fuzz, or all, for SECONDS (60) each
bench   | [NAME] [--json FILE] | measure beside the peers; without NAME: list what there is
tidy    |                      | check the house rules
install | [PREFIX]             | install below PREFIX (/usr/local); $DESTDIR is put before it
nginx   | SRC                  | build the nginx module against an nginx source tree
help    |                      | this
'

# Debian packages, by what they are needed for.
compiler='gcc libc6-dev meson ninja-build pkg-config'
libraries='libuv1-dev libsodium-dev libldns-dev liburcu-dev libyaml-dev libjansson-dev'
nginx_headers='nginx-dev'
running='nginx libnginx-mod-stream bind9-dnsutils curl iproute2 procps python3'
checking='python3 clang-format'
fuzzing='clang libclang-rt-14-dev'
testing='libcmocka-dev g++'
forwarders='unbound dnsmasq-base'

help() {
    echo "usage: ./build.sh [VERB] [ARGUMENTS]; without a verb: build"
    echo
    echo "$verbs" | awk -F ' *[|] *' 'NF == 3 {printf "  %-8s %-21s %s\n", $1, $2, $3}'
}

usage_error() {
    echo "build.sh: $1" >&2
    help >&2
    exit 2
}

# need PACKAGE..: installs those that are missing; without root says how, and exits 2.
need() {
    local missing=() package
    command -v dpkg-query >/dev/null || return 0 # not Debian: meson names what it lacks
    for package in $(printf '%s\n' "$@" | sort -u); do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "build.sh: packages are missing; as root, run this and try again:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 2
    fi
    echo "installing ${missing[*]}"
    install_packages "${missing[@]}"
}

# Installs without starting any service: the nginx that we want is a program, not one on port 80.
install_packages() {
    local log policy=/usr/sbin/policy-rc.d ours= failed=
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    fi
    { apt-get update && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null || failed=1
    if [ -n "$ours" ]; then rm -f "$policy"; fi
    if [ -n "$failed" ]; then
        tail -20 "$log" >&2
        echo "build.sh: apt-get failed; all it said is in $log" >&2
        exit 1
    fi
    rm -f "$log"
}

# unpack DIR PACKAGE..: puts the files of packages below DIR without installing them, where that
# would change how this machine works; what they need besides is installed. Only root can use them.
unpack() {
    local dir=$1 stamp needed package
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 0; fi
    stamp=$(apt-cache policy "$@" 2>/dev/null | grep Candidate || true)
    if [ -n "$stamp" ] && [ "$(cat "$dir/.unpacked" 2>/dev/null)" = "$stamp" ]; then return 0; fi
    rm -rf "$dir"
    mkdir -p "$dir/packages"
    if ! (cd "$dir/packages" && { apt-get download "$@" ||
        { apt-get update && apt-get download "$@"; }; }) >"$dir/log" 2>&1 </dev/null; then
        echo "build.sh: cannot download $*, what needs them is skipped; why is in $dir/log" >&2
        return 0
    fi
    for package in "$dir"/packages/*.deb; do
        dpkg-deb -x "$package" "$dir"
    done
    needed=$(for package in "$dir"/packages/*.deb; do dpkg-deb -f "$package" Depends; done |
        tr ',' '\n' | sed 's/^ *//; s/[ (|:].*$//' | grep -vE 'systemd|dbus' | sort -u)
    need $needed
    apt-cache policy "$@" | grep Candidate >"$dir/.unpacked"
}

# packages_of SCRIPT..: what their own lines `# packages: ..` ask for.
packages_of() { sed -n 's/^# packages: //p' "$@"; }

# configure DIR [MESON-ARGUMENT..]: again only when the arguments, or the packages that a build may
# use, are others than last time (meson would keep an optional library as missing).
configure() {
    local dir=$1 stamp
    shift
    stamp="$* $(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $libraries $nginx_headers \
        $testing $(packages_of tests/bench/*.sh) 2>/dev/null | grep ' installed' || true)"
    if [ -e "$dir/build.ninja" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$stamp" ]; then
        return 0
    fi
    local again=
    if [ -e "$dir/build.ninja" ]; then again=--reconfigure; fi
    meson setup $again "$dir" "$@" </dev/null
    echo "$stamp" >"$dir/.configured"
}

# plain: what is shipped. san: gcc with ASan and UBSan, for the tests; instrumented code draws false
# warnings, so they do not stop it. fuzz: clang, sanitizers and fuzzers; also clang's warnings.
do_build() {
    local kind=${1:-plain} dir=build-${1:-plain}
    local strict=-Dc_args=-fno-sanitize-recover=all
    case "$kind" in
    plain)
        dir=build
        need $compiler $libraries $nginx_headers
        CC=${CC:-gcc} configure $dir
        ;;
    san)
        need $compiler $libraries $testing
        CC=gcc configure $dir -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 \
            -Dwerror=false $strict
        ;;
    fuzz)
        need $compiler $libraries $fuzzing
        CC=clang configure $dir -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 \
            -Dfuzz=true $strict
        ;;
    *) usage_error "build: no kind \"$kind\": plain (gcc), san (gcc, sanitizers), fuzz (clang, fuzzers)" ;;
    esac
    ninja -C "$dir" </dev/null
}

do_demo() {
    need $compiler $libraries $nginx_headers $running
    do_build
    exec tests/system/demo.sh build "$@"
}

do_test() {
    if [ $# -gt 1 ] || [[ ${1:---full} != --full ]]; then usage_error "test: only --full"; fi
    need $compiler $libraries $nginx_headers $running $checking $fuzzing $testing $forwarders
    unpack build-san/debian systemd-resolved libsystemd-shared
    exec tests/run.sh "$@"
}

do_sim() {
    need $compiler $libraries
    CC=${CC:-gcc} configure build
    local program=sim
    if [ "${1:-}" = --planted ]; then program=sim_planted; fi
    ninja -C build "tests/sim/$program" </dev/null
    exec "build/tests/sim/$program" "$@"
}

# names PREFIX SUFFIX: what stands between them in the names of existing files.
names() {
    local file
    for file in "$1"*"$2"; do
        file=${file#"$1"}
        if [ "$file" != "*$2" ]; then echo "${file%"$2"}"; fi
    done
}

do_fuzz() {
    local seconds=60 name chosen
    chosen=$(names tests/fuzz/fuzz_ .c)
    if [[ ${1:-} =~ ^[^0-9] ]]; then
        [ -e "tests/fuzz/fuzz_$1.c" ] ||
            usage_error "fuzz: no fuzzer \"$1\"; there are:"$'\n'"$chosen"
        chosen=$1
        shift
    fi
    if [ $# -gt 0 ]; then seconds=$1; fi
    [[ $seconds =~ ^[0-9]+$ ]] || usage_error "fuzz: SECONDS is a number, not \"$seconds\""
    do_build fuzz
    for name in $chosen; do
        tests/fuzz/run.sh "$name" "$seconds"
    done
}

do_bench() {
    local name=${1:-}
    if [ -z "$name" ] || [ ! -e "tests/bench/$name.sh" ]; then
        echo "build.sh: ${name:+no bench \"$name\"; }the benches that exist:" >&2
        names tests/bench/ .sh | sed 's/^/  /' >&2
        exit 2
    fi
    shift
    need $compiler $libraries $nginx_headers $running
    need $(packages_of "tests/bench/$name.sh")
    do_build
    exec "tests/bench/$name.sh" "$@"
}

do_tidy() {
    need $checking
    exec tests/tidy.sh
}

do_install() {
    do_build
    meson configure build -Dprefix="${1:-/usr/local}"
    ninja -C build </dev/null
    meson install -C build --no-rebuild
}

do_nginx() {
    [ $# = 1 ] || usage_error "nginx: needs the nginx source tree"
    [ -e "$1/src/core/nginx.h" ] || usage_error "nginx: no nginx source tree in $1"
    need $compiler $libraries $nginx_headers
    CC=${CC:-gcc} configure build-nginx -Dnginx_src="$(realpath "$1")"
    ninja -C build-nginx </dev/null
    echo "built build-nginx/nginx/ngx_hivemind.so"
}

verb=${1:-build}
[ $# = 0 ] || shift
case "$verb" in
help | -h | --help) help ;;
*)
    # Not through a pipe: grep -q goes at the first match, and the writer's SIGPIPE would count.
    grep -q "^$verb  *|" <<<"$verbs" || usage_error "no verb \"$verb\""
    if [[ ${1:-} = -h || ${1:-} = --help ]]; then help; else "do_$verb" "$@"; fi
    ;;
esac
