#!/usr/bin/env bash
# install.sh BUILD: what is installed is whole: the binary finds its modules, the unit is sound.
set -euo pipefail
build=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
DESTDIR=$place meson install -C "$build" --no-rebuild --quiet
root=$place$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
for file in bin/hivemind bin/hivemind-lite lib/hivemind/modules/{auth,control,dns,host,log}.so \
    lib/systemd/system/hivemind@.service lib/sysusers.d/hivemind.conf; do
    [ -f "$root/$file" ] || { echo "not installed: $file"; exit 1; }
done
HIVEMIND_MODULES=$root/lib/hivemind/modules "$root/bin/hivemind" check-config \
    "$root/share/doc/hivemind/conf.examples/all-in-one.yaml"

# A role from outside the tree, built against what is installed: as its own text says.
export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$place
source=$(realpath "$(dirname "$0")/../../docs/examples/role_webhook.c")
mkdir "$place/modules"
(
    cd "$place" # nothing of the source tree is found by chance
    cc -Wall -Wextra -Werror -shared -fPIC $(pkg-config --cflags hivemind-module) "$source" \
        -o modules/webhook.so
)
[ "$(pkg-config --variable=moduledir hivemind-module)" != "" ]
cat >"$place/node.yaml" <<END
key: $place/key
modules: [$place/modules]
roles: [webhook]
webhook: {command: /bin/true}
END
"$root/bin/hivemind" check-config "$place/node.yaml"
sed -i '/^webhook:/d' "$place/node.yaml"
if "$root/bin/hivemind" check-config "$place/node.yaml" 2>"$place/said"; then
    echo "role webhook wants no command"
    exit 1
fi
grep -q 'node.yaml:3:1: role webhook needs command: write webhook: {command: ..}, the program to run' "$place/said"

if command -v systemd-analyze >/dev/null; then
    unit=$place/hivemind@test.service
    sed "s|^ExecStart=.*|ExecStart=$root/bin/hivemind run -c /etc/hivemind/%i.yaml|" \
        "$root/lib/systemd/system/hivemind@.service" >"$unit"
    systemd-analyze verify "$unit"
    unit=$place/hivemind-lite.service
    sed "s|/usr/bin/|$root/bin/|" "$root/share/doc/hivemind/conf.examples/lite.service" >"$unit"
    systemd-analyze verify "$unit"
fi
