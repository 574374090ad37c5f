#!/usr/bin/env bash
# names_cost.sh: instructions that registering a name takes on a node that is its own quorum, from the
# command to the answer, counted and so the same on a busy machine; and the memory of a name.
# packages: valgrind
set -euo pipefail
cd "$(dirname "$0")/../.."
program=build/tests/bench/names_cost
printf '%-12s %s\n' "in flight" "instructions per name"
for inflight in 1 64 1024; do
    few=$(tests/bench/instructions "$program" 2048 "$inflight")
    many=$(tests/bench/instructions "$program" 10240 "$inflight")
    printf '%-12s %s\n' "$inflight" $(((many - few) / 8192))
done
"$program" 1000000 64
