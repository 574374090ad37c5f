#!/usr/bin/env bash
# install.sh BUILD: what is installed is whole: the binary finds its modules, the unit is sound.
set -euo pipefail
build=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
DESTDIR=$place meson install -C "$build" --no-rebuild --quiet
root=$place$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
for file in bin/hivemind lib/hivemind/modules/{auth,control,dns,host,log}.so \
    lib/systemd/system/hivemind@.service lib/sysusers.d/hivemind.conf; do
    [ -f "$root/$file" ] || { echo "not installed: $file"; exit 1; }
done
HIVEMIND_MODULES=$root/lib/hivemind/modules "$root/bin/hivemind" check-config \
    "$root/share/doc/hivemind/conf.examples/all-in-one.yaml"
if command -v systemd-analyze >/dev/null; then
    unit=$place/hivemind@test.service
    sed "s|^ExecStart=.*|ExecStart=$root/bin/hivemind run -c /etc/hivemind/%i.yaml|" \
        "$root/lib/systemd/system/hivemind@.service" >"$unit"
    systemd-analyze verify "$unit"
fi
