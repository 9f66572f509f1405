#!/usr/bin/env bash
# HAProxy 2.6.12-1+deb12u4 (Debian): one core.httpclient():get{timeout=500} of Lua reaches a server that accepts and says nothing
# four times, and answers 504 after four times the timeout. The timeout is that of one try, and three more follow.
#
# Seen: 4 connections, 504 after about 2 s
set -euo pipefail
package=haproxy=2.6.12-1+deb12u4
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
for name in "$package" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1; do apt-get download -qq "$name" >/dev/null 2>&1 || true; done
for file in *.deb; do dpkg -x "$file" .; done
LD_LIBRARY_PATH=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
export LD_LIBRARY_PATH
read -r front back < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(2)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
cat >silent.py <<PY
import socket
server = socket.create_server(("127.0.0.1", $back))
kept = []
while True:
    connection, _ = server.accept()
    if connection.recv(9999): print("asked", flush=True)
    kept.append(connection)
PY
cat >action.lua <<LUA
core.register_action("ask", {"http-req"}, function(txn)
  local response = core.httpclient():get{url="http://127.0.0.1:$back/", timeout=500}
  txn:set_var("txn.status", tostring(response.status))
end, 0)
LUA
cat >haproxy.cfg <<CFG
global
  lua-load $folder/action.lua
defaults
  mode http
  timeout client 30s
  timeout connect 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:$front
  http-request lua.ask
  http-request return status 200 content-type text/plain lf-string %[var(txn.status)]
CFG
python3 silent.py >asked &
usr/sbin/haproxy -f haproxy.cfg >log 2>&1 &
for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null && break; sleep 0.1; done
status=$(curl -s --max-time 20 "http://127.0.0.1:$front/")
times=$(wc -l <asked)
echo "$times connections, status $status"
[[ $times == 4 && $status == 504 ]]
