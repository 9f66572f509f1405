#!/usr/bin/env bash
# nginx 1.22.1-9+deb12u11 (Debian), auth_request: where the authorization service answers 401 with two WWW-Authenticate lines,
# the client gets the first line alone. One line with both challenges, separated by a comma (RFC 9110, 11.6.1), arrives whole.
#
# Seen: two lines: `Basic realm="x"` alone; one line: `Basic realm="x", Bearer`
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq nginx=1.22.1-9+deb12u11 >/dev/null 2>&1
dpkg -x nginx_*.deb .
read -r front back < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(2)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
cat >service.py <<PY
from http.server import BaseHTTPRequestHandler, HTTPServer
class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        lines = ['Basic realm="x"', "Bearer"]
        for line in lines if self.path == "/two" else [", ".join(lines)]:
            self.send_header("WWW-Authenticate", line)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", $back), Service).serve_forever()
PY
mkdir logs
cat >nginx.conf <<CFG
daemon off; pid $folder/pid; error_log $folder/logs/error;
events {}
http {
  access_log off; client_body_temp_path $folder/b; proxy_temp_path $folder/p; fastcgi_temp_path $folder/f;
  uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  server {
    listen 127.0.0.1:$front;
    location /two { auth_request /ask-two; proxy_pass http://127.0.0.1:$back; }
    location /one { auth_request /ask-one; proxy_pass http://127.0.0.1:$back; }
    location = /ask-two { internal; proxy_pass http://127.0.0.1:$back/two; }
    location = /ask-one { internal; proxy_pass http://127.0.0.1:$back/one; }
  }
}
CFG
python3 service.py &
usr/sbin/nginx -e "$folder/logs/error" -c "$folder/nginx.conf" &
for port in "$front" "$back"; do
    for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
done
challenges() { curl -si "http://127.0.0.1:$front/$1" | tr -d '\r' | sed -n 's/^www-authenticate: //Ip' | paste -sd'|'; }
two=$(challenges two) one=$(challenges one)
printf '%s\n' "two lines: $two" "one line: $one"
[[ $two == 'Basic realm="x"' && $one == 'Basic realm="x", Bearer' ]]
