#!/usr/bin/env bash
# swim.sh [--json FILE] [--most N] [--build DIR]: how failure detection and gossip grow with the
# cluster, by simulation; see swim.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 -B tests/bench/swim.py "$@"
