#!/usr/bin/env bash
# SoftHSM2 (Debian softhsm2 2.6.1-2.1): a login writes the token's file, where a wrong PIN leaves a mark and the right one
# removes it, and it does not write it in one step. A process that starts at that moment does not see the token, or gets
# CKR_GENERAL_ERROR of C_GetTokenInfo.
#
# Seen: 12 to 23 of 400 listings lack the token while another process logs in with a wrong and the right PIN in turns; 0 of 100
# once that has ended.
set -euo pipefail
softhsm=libsofthsm2=2.6.1-2.1 util=softhsm2=2.6.1-2.1 opensc=opensc=0.23.0-0.3+deb12u2

folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT
cd "$folder"
for package in "$softhsm" "$util" softhsm2-common=2.6.1-2.1 "$opensc"; do apt-get download -qq "$package" >/dev/null 2>&1; done
for file in *.deb; do dpkg -x "$file" .; done
libraries=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
export LD_LIBRARY_PATH=$libraries SOFTHSM2_CONF=$folder/softhsm2.conf
mkdir tokens
printf 'directories.tokendir = %s/tokens\n' "$folder" >softhsm2.conf
module=$(find "$folder" -name libsofthsm2.so | head -n 1)
tool=$folder/usr/bin/pkcs11-tool
"$folder/usr/bin/softhsm2-util" --module "$module" --init-token --free --label t --pin 123456 --so-pin 87654321 >/dev/null

while :; do
    for pin in 999999 123456; do "$tool" --module "$module" --token-label t --login --pin $pin -O >/dev/null 2>&1 || true; done
done &
missing() {
    local count=0
    for _ in $(seq "$1"); do "$tool" --module "$module" -L 2>&1 | grep -q 'token label.*: t$' || count=$((count + 1)); done
    echo $count
}
meanwhile=$(missing 400)
kill %1
wait %1 2>/dev/null || true
after=$(missing 100)
printf '%s\n' "listings without the token, of 400 meanwhile: $meanwhile" "of 100 after: $after"
((meanwhile > 0 && after == 0))
