#!/bin/bash
# nginx-image.sh OUT: makes OUT, the root of an ordinary container: Debian's nginx with what it is linked to, which
# serves OUT/www on port 8080 with one process.
#
# The package is fetched by name into .cache/ (which git ignores) and unpacked, never installed: that would start it.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)
cache=$here/../.cache/nginx
out=${1:?usage: nginx-image.sh OUT}

if [ ! -e "$cache/done" ]; then
    rm -rf "$cache"
    mkdir -p "$cache"
    (cd "$cache" && apt-get -qq -o APT::Sandbox::User=root download nginx >&2)
    dpkg-deb -x "$cache"/*.deb "$cache"
    rm "$cache"/*.deb
    touch "$cache/done"
fi

mkdir -p "$out"/{bin,dev,proc,sys,www}
cp "$cache/usr/sbin/nginx" "$out/bin/nginx"
libraries=$(ldd "$out/bin/nginx")
if grep 'not found' <<<"$libraries" >&2; then exit 1; fi
grep -o '/[^ ]*' <<<"$libraries" | while read -r library; do
    install -D "$library" "$out/$library"
done
# What nginx does for this benchmark and no more: connections stay, nothing is logged.
cat >"$out/nginx.conf" <<'CONF'
daemon off;
worker_processes 1;
pid /dev/shm/nginx.pid;
events {}
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path /dev/shm/body;
    proxy_temp_path /dev/shm/proxy;
    fastcgi_temp_path /dev/shm/fastcgi;
    uwsgi_temp_path /dev/shm/uwsgi;
    scgi_temp_path /dev/shm/scgi;
    server { listen 8080; root /www; }
}
CONF
