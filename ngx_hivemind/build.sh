#!/usr/bin/env bash
# build.sh SRC OUT [FEEDER.c] [LINK..]: the nginx module, against the nginx source tree SRC (Debian's
# nginx-dev has one in /usr/share/nginx/src), as the shared object OUT. LINK is what follows on the
# linker's line: the archives that meson made, and their libraries. nginx's configure runs once for
# each directory of OUT; its answers lie in objs/ there.
set -euo pipefail
src=$(realpath "$1")
out=$(realpath -m "$2")
shift 2
here=$(cd "$(dirname "$0")" && pwd)
work=$(dirname "$out")/objs
mkdir -p "$work"

# configure writes beside itself: it gets a directory of links to run in. An option set that names
# the same libraries as the installed nginx gives the signature that it wants.
exec 9>"$work/lock"
flock 9
stamp="$src $(stat -c '%Y' "$src/src/core/nginx.h")"
if [ "$(cat "$work/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$work/tree" "$work/made" "$work/stamp"
    mkdir -p "$work/tree"
    for part in auto configure src; do
        ln -s "$src/$part" "$work/tree/$part"
    done
    NGX_CONF_FLAGS=(--with-compat --with-threads)
    if [ -e "$src/conf_flags" ]; then . "$src/conf_flags"; fi
    if ! (cd "$work/tree" && ./configure "${NGX_CONF_FLAGS[@]}" --builddir="$work/made") \
        >"$work/configure.log" 2>&1 </dev/null; then
        tail -20 "$work/configure.log" >&2
        echo "ngx_hivemind/build.sh: configure failed in $src" >&2
        exit 1
    fi
    echo "$stamp" >"$work/stamp"
fi
exec 9>&-

sources=("$here"/ngx_*.c)
if [[ ${1:-} == *.c ]]; then
    sources+=("$1")
    shift
fi
includes=()
for dir in core event event/modules os/unix http http/modules http/v2; do
    includes+=(-isystem "$src/src/$dir")
done
# nginx's handlers have arguments that not every handler wants.
${CC:-cc} -std=gnu11 -O2 -g -fPIC -shared -Wall -Wextra -Wshadow -Werror -Wno-unused-parameter \
    -Wno-missing-field-initializers -fno-strict-aliasing -D_GNU_SOURCE -I "$here/.." \
    "${includes[@]}" -isystem "$work/made" -o "$out" "${sources[@]}" "$@" \
    -Wl,--exclude-libs,ALL -Wl,-z,relro,-z,now

# What is missing of nginx comes from nginx; of ours nothing may be missing, and only nginx's start
# would tell.
if nm -D --undefined-only "$out" | grep ' U hm_' >&2; then
    echo "ngx_hivemind/build.sh: these are in no archive that meson.build names" >&2
    rm -f "$out"
    exit 1
fi
