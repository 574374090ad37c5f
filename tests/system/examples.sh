#!/usr/bin/env bash
# examples.sh HIVEMIND FOLDER: every example configuration is one.
# examples.sh HIVEMIND NGINX_CONF MODULE: so is that of nginx, as nginx itself finds, with its places
# moved to where a test may write.
set -euo pipefail
export PATH=$PATH:/usr/sbin

hivemind=$(realpath "$1")
if [ $# = 2 ]; then
    count=0
    for file in "$2"/*.yaml "$2"/*/*.yaml; do
        "$hivemind" check-config "$file"
        count=$((count + 1))
    done
    [ "$count" -ge 4 ]
    exit
fi

module=$(realpath "$3")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$hivemind" keygen -o "$place/cluster.key"
sed -e "s|modules/ngx_hivemind.so|$module|" -e "s|/etc/hivemind|$place|" \
    -e "s|/var/lib/nginx|$place|" -e "s|listen 9611|listen 127.77.1.1:9611|" \
    -e "s|listen 80|listen unix:$place/nginx.sock|" "$2" >"$place/nginx.conf"
nginx -t -p "$place" -c "$place/nginx.conf" -g "pid $place/nginx.pid; error_log stderr notice;"
