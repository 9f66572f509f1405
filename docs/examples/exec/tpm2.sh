#!/usr/bin/env bash
# A keyed-hash object in a TPM 2.0, by tpm2-tools: the key never leaves this machine's TPM, so no other machine can load the keyring.
#
# Make the key once, at a persistent handle (with /dev/tpmrm0 the flushcontext lines are not needed):
#   tpm2_createprimary -C o -c primary.ctx && tpm2_flushcontext -t
#   tpm2_create -C primary.ctx -G hmac -u key.pub -r key.priv && tpm2_flushcontext -t
#   tpm2_load -C primary.ctx -u key.pub -r key.priv -c key.ctx && tpm2_flushcontext -t
#   tpm2_evictcontrol -C o -c key.ctx 0x81000010 && tpm2_flushcontext -t
# Or bring a key of your own, to have the same one in several machines: `tpm2_import -C primary.ctx -G hmac -i key.raw …` for tpm2_create.
# Name it (the second argument is the way to the TPM, where it is not the default one):
#   exec:./tpm2.sh 0x81000010
#   exec:./tpm2.sh 0x81000010 device:/dev/tpmrm0
set -euo pipefail

if (($# < 1 || $# > 2)); then
    echo "usage: tpm2.sh HANDLE [TCTI]" >&2
    exit 64
fi
if (($# == 2)); then
    export TPM2TOOLS_TCTI=$2
fi
# The library's own log would come before what the tool has to say, of which operators see the first line.
export TSS2_LOG=${TSS2_LOG:-all+none}

{ base64 --decode && printf '\001'; } | tpm2_hmac --key-context "$1" --hash-algorithm sha256 | base64 --wrap=0
