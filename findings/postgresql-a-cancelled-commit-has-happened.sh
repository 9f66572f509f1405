#!/usr/bin/env bash
# PostgreSQL 15.18-0+deb12u1 (Debian): while COMMIT waits for a synchronous standby that is gone, statement_timeout does not end
# it. A cancel request does, and then the client gets a WARNING (01000) and success: the row is committed, and may be lost in a
# failover. A program that reads the command tag alone takes that for durable.
#
# Seen: with statement_timeout 1 s: 124 (timeout); cancelled: 0, the warning, and rows 2
set -euo pipefail
folder=$(mktemp -d)
trap 'kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true; sleep 1; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 libpq5=15.18-0+deb12u1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu PATH=$folder/usr/lib/postgresql/15/bin:$PATH
user=(); if ((EUID == 0)); then user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --); chown nobody "$folder"; fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ask() { timeout 6 psql -h 127.0.0.1 -p "$port" -U postgres -qAtX -c "$1"; }
"${user[@]}" initdb -D "$folder/data" -A trust -U postgres --no-sync >/dev/null
"${user[@]}" postgres -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 >log 2>&1 &
for _ in $(seq 100); do ask 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
ask 'CREATE TABLE t (a int)'
ask "ALTER SYSTEM SET synchronous_standby_names = 'gone'"
ask 'SELECT pg_reload_conf()' >/dev/null
sleep 1
limited=0 && ask "SET statement_timeout = '1s'; INSERT INTO t VALUES (1)" || limited=$?
ask 'INSERT INTO t VALUES (2)' >told 2>&1 &
waiting=$!
sleep 1
ask "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
cancelled=0 && wait "$waiting" || cancelled=$?
rows=$(ask 'SELECT count(*) FROM t')
echo "with statement_timeout 1 s: $limited; cancelled: $cancelled, rows $rows, and:" && cat told
[[ $limited == 124 && $cancelled == 0 && $rows == 2 ]] && grep -q 'WARNING.*canceling wait for synchronous replication' told
