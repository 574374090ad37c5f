#!/usr/bin/env bash
# raft_cost.sh: instructions per committed entry of the Raft engine and its journal, counted and so
# the same on a busy machine. The difference of two runs leaves the beginning out.
# packages: valgrind
set -euo pipefail
cd "$(dirname "$0")/../.."
program=build/tests/bench/raft_cost
printf '%-12s %s\n' "in flight" "instructions per entry, three nodes together"
for inflight in 1 8 64 256; do
    few=$(tests/bench/instructions "$program" 500 "$inflight")
    many=$(tests/bench/instructions "$program" 2500 "$inflight")
    printf '%-12s %s\n' "$inflight" $(((many - few) / 2000))
done
