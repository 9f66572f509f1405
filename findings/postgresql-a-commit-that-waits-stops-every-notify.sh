#!/usr/bin/env bash
# PostgreSQL 15.18-0+deb12u1 (Debian): a NOTIFY takes a lock over the whole cluster at COMMIT, and keeps it while the COMMIT waits
# for a synchronous standby. With the standby gone, one such transaction stops every NOTIFY of every database of the cluster,
# also those of sessions with synchronous_commit = off, which wait for no standby themselves. They hang; a plain INSERT does not.
#
# Seen: another database's INSERT: 0; its NOTIFY: 124 (timeout)
set -euo pipefail
folder=$(mktemp -d)
trap 'kill -QUIT "$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true; sleep 1; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 libpq5=15.18-0+deb12u1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu PATH=$folder/usr/lib/postgresql/15/bin:$PATH
user=(); if ((EUID == 0)); then user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --); chown nobody "$folder"; fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ask() { timeout 3 psql -h 127.0.0.1 -p "$port" -U postgres -qAtX -d "$1" -c "$2"; }
"${user[@]}" initdb -D "$folder/data" -A trust -U postgres --no-sync >/dev/null
"${user[@]}" postgres -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 >log 2>&1 &
for _ in $(seq 100); do ask postgres 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
ask postgres 'CREATE DATABASE other'
ask other 'CREATE TABLE t (a int)'
ask postgres "ALTER SYSTEM SET synchronous_standby_names = 'gone'"
ask postgres 'SELECT pg_reload_conf()' >/dev/null
sleep 1
ask postgres "CREATE TABLE t (); NOTIFY one" >/dev/null 2>&1 & # its COMMIT waits; the client goes away after 3 s, the wait goes on
sleep 1
inserted=0 && ask other "SET synchronous_commit = off; INSERT INTO t VALUES (1)" || inserted=$?
notified=0 && ask other "SET synchronous_commit = off; NOTIFY two" || notified=$?
echo "another database's INSERT: $inserted; its NOTIFY: $notified"
[[ $inserted == 0 && $notified == 124 ]]
