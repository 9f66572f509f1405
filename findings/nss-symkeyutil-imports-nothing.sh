#!/usr/bin/env bash
# symkeyutil -I (Debian libnss3-tools 2:3.87.1-1+deb12u4) reports that it imported a secret key and exits 0, and the database
# holds none afterwards. symkeyutil -K, which generates one, stores it. A known master key cannot be brought into an NSS
# database with this tool; another PKCS#11 tool through p11-kit can.
#
# Seen: import exit 0, then a list with `generated` and without `imported`
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for package in libnss3-tools=2:3.87.1-1+deb12u4 libnss3=2:3.87.1-1+deb12u4 libnspr4; do apt-get download -qq "$package" >/dev/null 2>&1; done
for file in *.deb; do dpkg -x "$file" .; done
LD_LIBRARY_PATH=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
export LD_LIBRARY_PATH
database=sql:$folder/db
mkdir db
usr/bin/certutil -N -d "$database" --empty-password
printf abcdefghijklmnopqrstuvwxyz012345 >raw
usr/bin/symkeyutil -I -k raw -n imported -t generic -d "$database" >/dev/null
import=$?
usr/bin/symkeyutil -K -n generated -t generic -s 32 -d "$database" >/dev/null
list=$(usr/bin/symkeyutil -L -d "$database")
printf 'import exit %s\n%s\n' "$import" "$list"
[[ $import == 0 && $list == *generated* && $list != *imported* ]]
