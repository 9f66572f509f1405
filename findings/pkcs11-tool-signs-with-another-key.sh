#!/usr/bin/env bash
# pkcs11-tool --sign (Debian opensc 0.23.0-0.3+deb12u2) does not look at --label: with two secret keys in a token it signs
# with the same one for both labels, and exits 0. --id is heeded.
# A program for `exec:` that asks pkcs11-tool therefore has to name the key by --id.
#
# Seen (the first 16 digits of each MAC): the two lines of --label are equal, those of --id differ.
set -euo pipefail
softhsm=libsofthsm2=2.6.1-2.1 util=softhsm2=2.6.1-2.1 opensc=opensc=0.23.0-0.3+deb12u2

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for package in "$softhsm" "$util" softhsm2-common=2.6.1-2.1 "$opensc"; do apt-get download -qq "$package" >/dev/null 2>&1; done
for file in *.deb; do dpkg -x "$file" .; done
libraries=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
export LD_LIBRARY_PATH=$libraries SOFTHSM2_CONF=$folder/softhsm2.conf
module=$(find "$folder/usr/lib" -name 'libsofthsm2.so' | head -n 1)
mkdir tokens
echo "directories.tokendir = $folder/tokens" >"$SOFTHSM2_CONF"
usr/bin/softhsm2-util --module "$module" --init-token --free --label t --pin 123456 --so-pin 87654321 >/dev/null
tool=(usr/bin/pkcs11-tool --module "$module" --token-label t --login --pin 123456)
printf %032d 10 >a
printf %032d 11 >b
"${tool[@]}" --write-object a --type secrkey --label a --id 01 --usage-sign --private >/dev/null 2>&1
"${tool[@]}" --write-object b --type secrkey --label b --id 02 --usage-sign --private >/dev/null 2>&1
printf hello >message

mac() { "${tool[@]}" --sign --mechanism SHA256-HMAC "$@" --input-file message --output-file mac 2>/dev/null; od -An -tx1 mac | tr -d ' \n' | cut -c1-16; }
label_a=$(mac --label a) label_b=$(mac --label b) id_a=$(mac --id 01) id_b=$(mac --id 02)
printf '%s\n' "--label a: $label_a" "--label b: $label_b" "--id 01:   $id_a" "--id 02:   $id_b"
[[ $label_a == "$label_b" && $id_a != "$id_b" ]]
