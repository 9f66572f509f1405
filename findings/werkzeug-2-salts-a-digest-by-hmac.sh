#!/usr/bin/env bash
# Werkzeug (PyPI) 2.3.8: generate_password_hash with the method "sha256" writes sha256$SALT$HEX, the form that other
# frameworks use for SHA-256 of salt and password. Here it is HMAC-SHA256, with the salt as the key. Werkzeug 3 has
# neither: it refuses to check such rows.
#
# Seen: 2.3.8 HMAC with the salt as its key; 3.0.6 refuses it
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >hashed.py <<'PY'
import hashlib, hmac, sys, warnings

warnings.simplefilter("ignore")
from werkzeug.security import check_password_hash, generate_password_hash

if sys.argv[1] == "2.3.8":
    method, salt, digest = generate_password_hash("a password", "sha256").split("$")
    kinds = {
        hashlib.sha256((salt + "a password").encode()).hexdigest(): "the digest of salt and password",
        hmac.new(salt.encode(), b"a password", "sha256").hexdigest(): "HMAC with the salt as its key",
    }
    print(sys.argv[1], kinds.get(digest, "something else"))
else:
    row = "sha256$salt$" + hmac.new(b"salt", b"a password", "sha256").hexdigest()
    try:
        print(sys.argv[1], "accepts it" if check_password_hash(row, "a password") else "refuses it")
    except ValueError:
        print(sys.argv[1], "refuses it")
PY
seen=$(
    for version in 2.3.8 3.0.6; do
        python3 -m venv "$version"
        "$version/bin/pip" install --quiet --disable-pip-version-check "werkzeug==$version"
        "$version/bin/python" hashed.py "$version"
    done
)
echo "$seen"
[[ $seen == $'2.3.8 HMAC with the salt as its key\n3.0.6 refuses it' ]]
