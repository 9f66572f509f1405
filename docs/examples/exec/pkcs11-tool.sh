#!/usr/bin/env bash
# A generic secret in an HSM, by OpenSC's pkcs11-tool.
#
# Make the key:
#   pkcs11-tool --module MODULE.so --token-label TOKEN --login --keygen --key-type GENERIC:32 --label master-1 --id 01 \
#       --usage-sign --sensitive --private
# Without --private some tokens let everybody use the key, without the PIN.
# Name it, with a file of mode 0600 that holds the PIN:
#   exec:./pkcs11-tool.sh MODULE.so TOKEN ID PIN-FILE
set -euo pipefail

if (($# != 4)); then
    echo "usage: pkcs11-tool.sh MODULE TOKEN ID PIN-FILE" >&2
    exit 64
fi
module=$1 token=$2 id=$3 pin_file=$4

# pkcs11-tool wants files. They hold what is derived, so they are this user's alone, and in memory where the system has such a place.
umask 077
folder=$(mktemp -d -p "${XDG_RUNTIME_DIR:-/dev/shm}")
trap 'rm -rf "$folder"' EXIT

{ base64 --decode && printf '\001'; } >"$folder/message"
# In the environment and not on the command line, where every user of the machine could read it.
PIN=$(<"$pin_file")
export PIN
if ! pkcs11-tool --module "$module" --token-label "$token" --login --pin env:PIN --sign --mechanism SHA256-HMAC --id "$id" \
    --input-file "$folder/message" --output-file "$folder/mac" >"$folder/log" 2>&1; then
    grep -m1 '^error' "$folder/log" >&2 || tail -n1 "$folder/log" >&2
    exit 1
fi
base64 --wrap=0 "$folder/mac"
