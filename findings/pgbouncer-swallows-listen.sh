#!/usr/bin/env bash
# PgBouncer 1.18.0-1+deb12u1 (Debian) in transaction mode answers LISTEN with success and never delivers a notification. The LISTEN
# stays on the connection to the server, where it belongs to whatever client comes next.
#
# Seen: the answer to LISTEN: LISTEN; heard: nothing; channels of another client: ch
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true; sleep 1; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 libpq5=15.18-0+deb12u1 \
    pgbouncer=1.18.0-1+deb12u1 libc-ares2 libevent-2.1-7 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'psycopg[binary]==3.2.13'
export LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu PATH=$folder/usr/lib/postgresql/15/bin:$folder/usr/sbin:$PATH
user=(); if ((EUID == 0)); then user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --); chown nobody "$folder"; chmod 755 "$folder"; fi
read -r port pooled < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(2)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
"${user[@]}" initdb -D "$folder/data" -A trust -U postgres --no-sync >/dev/null
"${user[@]}" postgres -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 >log 2>&1 &
cat >pgbouncer.ini <<INI
[databases]
postgres = host=127.0.0.1 port=$port user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooled
unix_socket_dir =
auth_type = any
pool_mode = transaction
INI
"${user[@]}" pgbouncer pgbouncer.ini >>log 2>&1 &
cat >see.py <<'PY'
import sys, psycopg
connect = lambda port: psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True)
listener, other, notifier = connect(sys.argv[2]), connect(sys.argv[2]), connect(sys.argv[1])
print("the answer to LISTEN:", listener.execute("LISTEN ch").statusmessage, end="; ")
notifier.execute("NOTIFY ch, 'x'")
print("heard:", *list(listener.notifies(timeout=3)) or ["nothing"], end="; ")
print("channels of another client:", *(name for name, in other.execute("SELECT pg_listening_channels()")))
PY
for _ in $(seq 100); do psql -h 127.0.0.1 -p "$pooled" -U postgres -qAtX -c 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
seen=$(venv/bin/python see.py "$port" "$pooled")
echo "$seen"
[[ $seen == 'the answer to LISTEN: LISTEN; heard: nothing; channels of another client: ch' ]]
