#!/usr/bin/env bash
# propagate.sh [--json FILE] [--changes N] [--rounds N] [--build DIR]: how fast a cluster follows and
# what it costs, beside serf; see propagate.py.
# packages: serf
set -euo pipefail
cd "$(dirname "$0")/../.."
# In a network of its own (which takes root) nothing else is on loopback, and what is sent can be counted.
if unshare --net true 2>/dev/null; then
    exec unshare --net sh -c 'ip link set lo up && exec python3 -B tests/bench/propagate.py \
        --own-network "$@"' propagate "$@"
fi
exec python3 -B tests/bench/propagate.py "$@"
