#!/usr/bin/env bash
# members.sh [--json FILE] [--sizes N,..] [--count N] [--rounds N] [--build DIR]: many nodes on this
# machine, beside serf; see members.py.
# packages: serf
set -euo pipefail
cd "$(dirname "$0")/../.."
# In a network of its own (which takes root) nothing else is on loopback, and what is sent can be
# counted; whatever becomes of this, its processes end with it.
own="unshare --net --mount --pid --fork --kill-child --mount-proc"
if $own true 2>/dev/null; then
    exec $own sh -c 'ip link set lo up && exec python3 -B tests/bench/members.py --own-network "$@"' \
        members "$@"
fi
exec python3 -B tests/bench/members.py "$@"
