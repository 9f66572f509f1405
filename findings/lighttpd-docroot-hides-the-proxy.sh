#!/usr/bin/env bash
# lighttpd 1.4.69-1 (Debian): its documentation calls `docroot` mandatory for a FastCGI authorizer. With it a request that the
# authorizer let through is looked for among files, and mod_proxy is never asked: 404. Without it the proxy answers.
#
# Seen: with docroot 404, without it 200
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get install -y -qq --no-install-recommends lighttpd=1.4.69-1 >/dev/null 2>&1
read -r front back gate < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(3)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
cat >gate.py <<PY
import socketserver, struct
class Gate(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(8):
            _, kind, number, length, padding, _ = struct.unpack(">BBHHBB", head)
            self.rfile.read(length + padding)
            if (kind, length) == (4, 0):  # the end of the variables
                text = b"Status: 200 OK\r\n\r\n"
                for kind, content in ((6, text), (6, b""), (3, bytes(8))):
                    self.wfile.write(struct.pack(">BBHHBB", 1, kind, number, len(content), 0, 0) + content)
                return
socketserver.ThreadingTCPServer(("127.0.0.1", $gate), Gate).serve_forever()
PY
python3 gate.py &
python3 -m http.server --bind 127.0.0.1 --directory "$folder" "$back" >/dev/null 2>&1 &
status() {
    cat >lighttpd.conf <<CFG
server.modules = ("mod_fastcgi", "mod_proxy")
server.bind = "127.0.0.1"
server.port = $front
server.document-root = "/nonexistent"
fastcgi.server = ("" => (("host" => "127.0.0.1", "port" => $gate, "mode" => "authorizer", $1 "check-local" => "disable")))
proxy.server = ("" => (("host" => "127.0.0.1", "port" => $back)))
CFG
    lighttpd -D -f lighttpd.conf 2>/dev/null &
    local server=$!
    for port in "$front" "$back" "$gate"; do
        for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    done
    curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$front/gate.py"
    kill "$server"
    wait "$server" 2>/dev/null || true
}
with=$(status '"docroot" => "/nonexistent",') without=$(status '')
printf '%s\n' "with docroot: $with" "without: $without"
[[ $with == 404 && $without == 200 ]]
