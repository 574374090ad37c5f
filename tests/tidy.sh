#!/usr/bin/env bash
# The house rules, checked: floors, banned calls, circles, format, sizes. One line a rule, exit 1
# when one is broken. `tests/tidy.sh DIR` checks another tree; tests/tidy_test.sh sees each rule red.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec python3 -B "$here/tidy.py" "${1:-$here/..}"
