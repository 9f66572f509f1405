#!/usr/bin/env bash
# Apache httpd 2.4.71-1~deb12u1 with mod_oauth2 3.3.1-1 (Debian): the access token goes to the application in a header of the module's
# own, OAUTH2_CLAIM_access_token, also where the configuration removes Authorization. `OAuth2TargetPass headers=false` ends that.
#
# Seen: as a rule the token arrives; with the directive it does not
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get install -y -qq --no-install-recommends apache2=2.4.71-1~deb12u1 libapache2-mod-oauth2=3.3.1-1 >/dev/null 2>&1
read -r front back < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(2)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
cat >service.py <<PY
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Service(BaseHTTPRequestHandler):
    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer('{"active": true, "sub": "me"}', "application/json")
    def do_GET(self):
        names = [name for name, value in self.headers.items() if "the-token" in value]
        self.answer(" ".join(names) or "nothing", "text/plain")
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", $back), Service).serve_forever()
PY
python3 service.py &
for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$back") 2>/dev/null && break; sleep 0.1; done
arrives() {
    { for m in mpm_event authn_core authz_core authz_user headers proxy proxy_http oauth2; do
        echo "LoadModule ${m}_module /usr/lib/apache2/modules/mod_$m.so"
    done
    cat <<CFG
ServerRoot $folder
PidFile $folder/pid
ServerName localhost
User www-data
Group www-data
Listen 127.0.0.1:$front
ErrorLog $folder/errors
OAuth2TokenVerify introspect http://127.0.0.1:$back/ introspect.auth=client_secret_basic&client_id=a&client_secret=b&expiry=1
$1
<Location />
AuthType oauth2
Require valid-user
RequestHeader unset Authorization
ProxyPass http://127.0.0.1:$back/
</Location>
CFG
    } >httpd.conf
    apache2 -X -f "$folder/httpd.conf" 2>/dev/null &
    local httpd=$!
    for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$front") 2>/dev/null && break; sleep 0.1; done
    curl -s -H 'Authorization: Bearer the-token' "http://127.0.0.1:$front/"
    kill -9 "$httpd"
    wait "$httpd" 2>/dev/null || true
    rm -f pid
}
rule=$(arrives '') without=$(arrives 'OAuth2TargetPass headers=false')
printf '%s\n' "as a rule the token arrives in: $rule" "with headers=false: $without"
[[ $rule == OAUTH2_CLAIM_access_token && $without == nothing ]]
