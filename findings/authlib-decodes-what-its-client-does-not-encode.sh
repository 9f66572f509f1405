#!/usr/bin/env bash
# authlib 1.9.6 (PyPI): its client sends id and secret in HTTP Basic as they are, and its server percent-decodes both. So a client of
# authlib cannot log in to a server of authlib, once its secret holds a percent sign with two hexadecimal digits behind it. RFC 6749,
# section 2.3.1 has the client encode them as in a form. A client that does so cannot log in either, if its secret holds a blank: the
# server decodes no plus sign.
#
# Seen: sent p%41ss, read pAss; form-encoded a+b, read a+b
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check authlib==1.9.6
cat >basic.py <<'PY'
import base64, urllib.parse
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.util import extract_basic_authorization

_, headers, _ = ClientAuth("client", "p%41ss", "client_secret_basic").prepare("POST", "https://old.example/token", {}, "")
print("sent p%41ss, read", extract_basic_authorization(headers)[1])
encoded = "client:" + urllib.parse.quote_plus("a b")
headers = {"Authorization": "Basic " + base64.b64encode(encoded.encode()).decode()}
print("form-encoded", encoded.split(":")[1] + ", read", extract_basic_authorization(headers)[1])
PY
seen=$(python/bin/python basic.py)
echo "$seen"
[[ $seen == $'sent p%41ss, read pAss\nform-encoded a+b, read a+b' ]]
