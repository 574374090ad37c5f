#!/usr/bin/env bash
# Plants one violation of each rule of tests/tidy.sh in a small clean tree and sees it caught by
# that rule, and by no other. A rule without a violation here fails this test.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0
seen=" "

clean() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree"/core/{base,wire,engine,conf,node/desk,node/member} "$tree"/tests/unit
    cp "$here/../.clang-format" "$tree/"
    printf 'int low(void);\n' >"$tree/core/base/low.h"
    printf '#include "core/base/low.h"\n' >"$tree/core/base/other.h"
    printf 'int high(void);\n' >"$tree/core/wire/high.h"
    printf '#include "core/base/low.h"\n' >"$tree/core/wire/high.c"
    printf 'int out(void);\n' >"$tree/core/engine/outbox.h"
    printf 'int raft(void);\n' >"$tree/core/engine/raft.h"
    printf '#include "core/engine/outbox.h"\n#include "core/engine/raft.h"\n' \
        >"$tree/core/engine/raft_vote.c"
    printf 'int desk(void);\n' >"$tree/core/node/desk/desk.h"
    printf '#include "core/node/desk/desk.h"\n\nint desk(void)\n{\n    return 1;\n}\n' \
        >"$tree/core/node/desk/desk.c"
    printf '#include "core/node/desk/desk.h"\n\nint member(void)\n{\n    return desk();\n}\n' \
        >"$tree/core/node/member/member.c"
    printf 'int member(void);\n' >"$tree/core/node/member/member.h"
    printf '#include "core/node/desk/desk.h"\n\nint acts(void)\n{\n    return desk();\n}\n' \
        >"$tree/core/node/desk/acts.c"
    # Looks like violations, is none: words in comments and texts, members, names of its own.
    cat >"$tree/core/base/low.c" <<'END'
/* time(), malloc() and sprintf() in a comment */
static int open(int x)
{
    return x;
}

int low(struct calls *calls)
{
    return open(1) + calls->send("rand()") + calls.socket(0);
}
END
    printf '#!/bin/sh\nwhile ! true; do sleep 0.05; done\n' >"$tree/tests/wait.sh"
}

broken() { "$here/tidy.sh" "$tree" | awk '$1 == "FAIL" {printf "%s ", $2}' || true; }

# planted RULE FILE TEXT: with TEXT at the end of FILE, RULE alone is broken.
planted() {
    clean
    mkdir -p "$(dirname "$tree/$2")"
    printf '%b' "$3" >>"$tree/$2"
    seen="$seen$1 "
    local found
    found=$(broken)
    if [ "$found" != "$1 " ]; then
        echo "FAIL $1 with $2: rules broken: ${found:-none}"
        failed=1
    fi
}

call() { printf '\nint planted(void)\\n{\\n    return %s;\\n}\\n' "$1"; }

clean
found=$(broken)
if [ -n "$found" ]; then
    echo "FAIL the clean tree: rules broken: $found"
    failed=1
fi

planted floors core/base/up.c '#include "core/wire/high.h"\n'
planted floors core/conf/up.c '#include "core/wire/high.h"\n'
planted floors core/wire/beside.c '#include "high.h"\n'
planted floors core/unknown/file.c 'int x;\n'
planted engines core/engine/swim.c '#include "core/engine/raft.h"\n'
planted circles core/base/low.h '#include "core/base/other.h"\n'
planted floors core/node/desk/up.c '#include "core/node/member/member.h"\n'
planted calls core/node/desk/up.c "$(call 'member()')"
planted calls core/node/desk/desk.c "$(call 'acts()')"
planted calls core/node/desk/blind.c "$(call 'desk()')"
planted banned-clock core/engine/clock.c "$(call 'time(0)')"
planted banned-network core/node/net.c "$(call 'socket(1, 2, 3)')"
planted banned-files core/wire/file.c "$(call 'fopen(a, b)')"
planted banned-chance core/state/chance.c "$(call 'rand()')"
planted banned-threads core/node/thread.c "$(call 'pthread_create(a, b, c, d)')"
planted banned-heap core/engine/heap.c "$(call 'malloc(1)')"
planted banned-unbounded modules/text.c "$(call 'sprintf(a, b)')"
planted sleeps tests/unit/test_sleep.c "$(call 'usleep(1)')"
planted sleeps tests/system.sh 'sleep 2\n'
planted sleeps tests/system.py 'time.sleep(1)\n'
planted unfinished docs/page.md "TO""DO: later\n"
planted paths build.sh "ls /""home/me\n"
planted functions core/base/long.c "int f(void)\n{\n$(printf '    g();\\n%.0s' {1..101})}\n"
planted files core/base/long.c "$(printf 'int x;\\n%.0s' {1..901})"
planted format core/base/format.c 'int  x ;\n'
planted shell run.sh 'if true; then\n'

for rule in $("$here/tidy.sh" "$tree" | awk '$1 == "ok" || $1 == "FAIL" {print $2}'); do
    case "$seen" in
    *" $rule "*) ;;
    *)
        echo "FAIL $rule: no violation of it is planted"
        failed=1
        ;;
    esac
done
if [ "$failed" = 0 ]; then echo "every rule was seen red"; fi
exit "$failed"
