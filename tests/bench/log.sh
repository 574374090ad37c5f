#!/usr/bin/env bash
# log.sh [--json FILE] [--rounds N] [--seconds S] [--build DIR]: the replicated log beside etcd; see
# log.py.
# packages: etcd-server libnghttp2-dev
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 -B tests/bench/log.py "$@"
