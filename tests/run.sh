#!/usr/bin/env bash
# All tests: house rules, builds, test programs under sanitizers, fuzzers. Called by ./build.sh test,
# which installs what this uses. Each rule, build, test program and fuzzer counts as one; the last
# line is `N passed, N failed`. --full adds the suite `full`.
set -uo pipefail
cd "$(dirname "$0")/.."
exec </dev/null
logs=build-san/logs
fuzz_seconds=12
left_out=(plain full) # suites; `plain`: what cannot run under sanitizers, such as Debian's nginx, and long simulations
if [ "${1:-}" = --full ]; then left_out=(plain); fi

mkdir -p "$logs"
rm -f "$logs"/*
passed=0
failures=()

# excerpt LOG: what tells why, as far as that can be guessed; else its end.
excerpt() {
    local words='error|ERROR|FAIL|assert|SUMMARY|Test unit written|Traceback|imeout|TIMEOUT'
    if [[ $1 = */tidy-* ]]; then
        head -n 12 "$1"
    elif ! grep -E "$words" "$1" | cut -c 1-200 | head -n 12 | grep .; then
        tail -n 20 "$1"
    fi
}

# result ok|FAIL NAME LOG
result() {
    if [ "$1" = ok ]; then
        passed=$((passed + 1))
    else
        failures+=("$2: $3")
        echo "FAIL $2: $3"
        excerpt "$3" | sed 's/\x1b\[[0-9;]*[mK]//g; s/^/    /'
    fi
}

# step NAME COMMAND..: one test that is a command.
step() {
    local name=$1 log=$logs/${1// /-}.log start=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then result ok "$name" "$log"; else result FAIL "$name" "$log"; fi
    echo "$name: $((SECONDS - start)) s"
}

# rules: one result for each line of tidy.
rules() {
    local log=$logs/tidy.log verdict rule own
    tests/tidy.sh >"$log" 2>&1
    if ! grep -q '^tidy: ' "$log"; then result FAIL tidy "$log"; fi
    while read -r verdict rule _; do
        own=$logs/tidy-$rule.log
        case "$verdict" in
        ok) passed=$((passed + 1)) ;;
        FAIL)
            awk -v rule="$rule" '/^[^ ]/ {on = $1 == "FAIL" && $2 == rule} on' "$log" >"$own"
            result FAIL "tidy $rule" "$own"
            ;;
        esac
    done <"$log"
    tail -n 1 "$log"
}

# programs DIR MESON-TEST-ARGUMENT..: one result for each test program of a build directory.
programs() {
    local dir=$1 start=$SECONDS verdict name log json=$1/meson-logs/testlog.json
    local failed_before=${#failures[@]} meson_failed=
    shift
    rm -f "$json"
    meson test -C "$dir" --no-rebuild --num-processes 2 --timeout-multiplier 3 "$@" \
        >"$logs/meson-test-$dir.log" 2>&1 || meson_failed=1
    if [ "$dir" = build ] && grep -q 'No suitable tests' "$logs/meson-test-$dir.log"; then
        return # the suite `plain` may be empty, the tests may not
    fi
    if [ ! -e "$json" ]; then
        result FAIL "tests of $dir" "$logs/meson-test-$dir.log"
        return
    fi
    while read -r verdict name log; do
        case "$verdict" in
        skip) echo "skipped $name: $log" ;;
        *) result "$verdict" "$name" "$log" ;;
        esac
    done < <(python3 - "$json" "$logs" <<'END'
import json, re, sys

verdicts = {"OK": "ok", "EXPECTEDFAIL": "ok", "SKIP": "skip"}
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    name = re.sub(r"[^\w.-]+", "-", test["name"].split(":")[-1].split(" / ")[-1])
    log = f"{sys.argv[2]}/test-{name}.log"
    with open(log, "w", encoding="utf-8") as file:
        file.write(f'{" ".join(test["command"])}: {test["result"]}\n')
        file.write((test.get("stdout") or "") + (test.get("stderr") or ""))
    print(verdicts.get(test["result"], "FAIL"), name, log)
END
    )
    if [ -n "$meson_failed" ] && [ ${#failures[@]} = "$failed_before" ]; then
        result FAIL "tests of $dir" "$logs/meson-test-$dir.log"
    fi
    echo "test programs of $dir: $((SECONDS - start)) s"
}

# fuzzers: two at a time.
fuzzers() {
    local source name start=$SECONDS
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
        { tests/fuzz/run.sh "${name#fuzz_}" "$fuzz_seconds" >"$logs/$name.log" 2>&1 &&
            touch "$logs/$name.passed"; } &
    done
    wait
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        if [ -e "$logs/$name.passed" ]; then
            result ok "$name" "$logs/$name.log"
        else
            result FAIL "$name" "$logs/$name.log"
        fi
    done
    echo "fuzzers: $((SECONDS - start)) s"
}

rules
step "tidy sees violations" tests/tidy_test.sh
step "build gcc" ./build.sh build plain
step "build gcc with sanitizers" ./build.sh build san
step "build clang with fuzzers" ./build.sh build fuzz
programs build-san "${left_out[@]/#/--no-suite=}"
programs build --suite plain
fuzzers

if [ ${#failures[@]} -gt 0 ]; then
    echo "failed, with their logs:"
    printf '  %s\n' "${failures[@]}"
fi
echo "$passed passed, ${#failures[@]} failed"
[ ${#failures[@]} = 0 ]
