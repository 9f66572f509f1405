# Runs a program with opencryptoki's soft token, in mounts of its own, so that nothing of the system changes:
#   unshare --mount --ipc bash opencryptoki.sh MODULE PIN KNOWN PROGRAM ARGUMENTS…
# The token `bulla` has two keys: `generated`, and `known`, which is the 32 bytes in the file KNOWN.
set -euo pipefail
module=$1 pin=$2 known=$3
shift 3

# The module and its daemon have their places built in.
tokens=/var/lib/opencryptoki
mount -t tmpfs tmpfs "$tokens"
mount -t tmpfs -o mode=755 tmpfs "$(realpath /run)"
mount -t tmpfs tmpfs /dev/shm
mkdir -p "$tokens/swtok/TOK_OBJ" /run/lock/opencryptoki/swtok /run/opencryptoki
chgrp -R pkcs11 "$tokens" /run/lock/opencryptoki /run/opencryptoki
chmod -R u=rwX,g=rwX,o= "$tokens" /run/lock/opencryptoki /run/opencryptoki

pkcsslotd -f >/dev/null 2>&1 &
daemon=$!
trap 'kill $daemon; wait $daemon || true' EXIT
for _ in $(seq 100); do
    pkcs11-tool --module "$module" --list-slots >/dev/null 2>&1 && break
    sleep 0.1
done
tool() { pkcs11-tool --module "$module" "$@" >/dev/null 2>&1; }
tool --slot 3 --init-token --label bulla --so-pin 87654321
tool --slot 3 --init-pin --login --so-pin 87654321 --pin "$pin" --new-pin "$pin"
tool --token-label bulla --login --pin "$pin" --keygen --key-type GENERIC:32 --label generated --id 01 \
    --usage-sign --sensitive --private
tool --token-label bulla --login --pin "$pin" --write-object "$known" --type secrkey --label known --id 02 \
    --usage-sign --sensitive --private
"$@"
