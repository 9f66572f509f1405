#!/usr/bin/env bash
# django-rest-knox (PyPI), 4.2.0 and 5.0.2, with the same settings and the same hash: 4.2.0 hashes the bytes that the
# token is in hexadecimal, 5.0.2 hashes its text, though its own comment goes on to demand hexadecimal digits. So no
# token in a table of 4.2.0 verifies once the package is updated, and nothing in a row tells which of the two made it.
#
# Seen: 4.2.0 sha512 of the bytes; 5.0.2 sha512 of the text
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >hashed.py <<'PY'
import hashlib, sys
import django
from django.conf import settings

settings.configure()
django.setup()
from knox.crypto import hash_token

token = "0123456789abcdef" * 4
digests = {hashlib.sha512(bytes.fromhex(token)).hexdigest(): "the bytes", hashlib.sha512(token.encode()).hexdigest(): "the text"}
print(sys.argv[1], "sha512 of", digests.get(hash_token(token), "something else"))
PY
seen=$(
    for version in 4.2.0 5.0.2; do
        python3 -m venv "$version"
        "$version/bin/pip" install --quiet --disable-pip-version-check "django-rest-knox==$version" django==4.2.16 djangorestframework==3.15.2
        "$version/bin/python" hashed.py "$version"
    done
)
echo "$seen"
[[ $seen == $'4.2.0 sha512 of the bytes\n5.0.2 sha512 of the text' ]]
