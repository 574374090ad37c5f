#!/bin/sh
# archive.sh CC.. -- OUT EMBED BELOW..: an archive of one object, with all of EMBED and what it needs
# of BELOW; only the names of the public headers are seen from outside.
set -eu
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
out=$2
whole=$3
shift 3
$compiler -r -nostdlib -o "$out.o" -Wl,--whole-archive "$whole" -Wl,--no-whole-archive \
    -Wl,--start-group "$@" -Wl,--end-group
objcopy --wildcard --keep-global-symbol='hivemind_*' --keep-global-symbol=hm_status_text \
    --keep-global-symbol=hm_status_name --keep-global-symbol=hm_status_exit_code "$out.o"
rm -f "$out"
ar rcs "$out" "$out.o"
rm "$out.o"
