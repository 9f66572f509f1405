#!/usr/bin/env bash
# nginx 1.22.1-9+deb12u11 (Debian) with `proxy_pass` alone holds back even the status line of a text/event-stream until its
# buffer is full: a client of server-sent events sees nothing at all, not a late event. `add_header X-Accel-Buffering no`
# in nginx's own configuration changes nothing, since nginx heeds that header only where the upstream sends it.
#
# Seen: without the upstream's header 0 bytes in 4 s; with it the answer and the event at once
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
cat >events.py <<PY
import socket, threading, time
def answer(connection):
    path = connection.recv(9999).split()[1]
    extra = b"X-Accel-Buffering: no\r\n" if path == b"/with" else b""
    try:
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n" + extra + b"\r\ndata: 1\n\n")
        for _ in range(8):
            time.sleep(1)
            connection.sendall(b": alive\n\n")
    except OSError:
        pass
server = socket.create_server(("127.0.0.1", $back))
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
PY
mkdir logs
cat >nginx.conf <<CFG
daemon off; pid $folder/pid; error_log $folder/logs/error;
events {}
http {
  access_log off; client_body_temp_path $folder/b; proxy_temp_path $folder/p; fastcgi_temp_path $folder/f;
  uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
  server { listen 127.0.0.1:$front; location / { proxy_pass http://127.0.0.1:$back; add_header X-Accel-Buffering no; } }
}
CFG
python3 events.py &
usr/sbin/nginx -e "$folder/logs/error" -c "$folder/nginx.conf" &
for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null && break; sleep 0.1; done
without=$(curl -sN --max-time 4 "http://127.0.0.1:$front/without" | head -n 1 || true)
with=$(curl -sN --max-time 4 "http://127.0.0.1:$front/with" | head -n 1 || true)
printf '%s\n' "without: '$without'" "with: '$with'"
[[ -z $without && $with == 'data: 1' ]]
