#!/usr/bin/env bash
# nginx 1.22.1-9+deb12u11 (Debian) makes a file's ETag of the second of its last change and its length. A file that is replaced
# twice within one second by others of its length keeps its ETag, and a client that asks with If-None-Match keeps the first.
#
# Seen: 304 for the other file of the same second, 200 once the time of change differs by a second
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq nginx=1.22.1-9+deb12u11 >/dev/null 2>&1
dpkg -x nginx_*.deb .
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir logs www
cat >nginx.conf <<CFG
daemon off; pid $folder/pid; error_log $folder/logs/error;
events {}
http {
  access_log off; client_body_temp_path $folder/b; proxy_temp_path $folder/p; fastcgi_temp_path $folder/f;
  uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  server { listen 127.0.0.1:$port; root $folder/www; }
}
CFG
put() { printf '%s' "$1" >new; touch -d "$2" new; mv new www/file; }
put first '2026-11-27T12:00:00.1Z'
usr/sbin/nginx -p "$folder" -e logs/error -c "$folder/nginx.conf" &
for _ in $(seq 50); do curl -sf "127.0.0.1:$port/file" >/dev/null && break; sleep 0.1; done
tag=$(curl -sI "127.0.0.1:$port/file" | tr -d '\r' | sed -n 's/^ETag: //p')
again() { curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "127.0.0.1:$port/file"; }
put other '2026-11-27T12:00:00.9Z'
same=$(again)
put other '2026-11-27T12:00:01.1Z'
next=$(again)
echo "ETag $tag; another file of the same second: $same; of the next second: $next"
[[ $same == 304 && $next == 200 ]]
