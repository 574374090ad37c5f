#!/usr/bin/env bash
# run.sh NAME SECONDS: runs a built fuzzer over its corpus. What it finds new stays in
# build-fuzz/found/NAME; an input that breaks it is written to build-fuzz/NAME-crash-* or -timeout-*.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1
seconds=$2
found=build-fuzz/found/$name
corpus=tests/fuzz/corpus/$name
mkdir -p "$found"
if [ ! -d "$corpus" ]; then corpus=; fi
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
exec timeout -k 5 $((seconds + 60)) "build-fuzz/tests/fuzz/fuzz_$name" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/$name-" "$found" $corpus </dev/null
