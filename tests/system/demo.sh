#!/usr/bin/env bash
# demo.sh BUILD [--once]: the whole cluster on loopback; see demo.py.
set -euo pipefail
exec python3 -B "$(dirname "$0")/demo.py" "$@"
