#!/usr/bin/env bash
# PostgreSQL 15.18-0+deb12u1 (Debian): logical replication carries rows and no sequences. Where a replica becomes the primary, a
# `bigserial` begins at 1 again: a number that a row has is a duplicate, and a number whose row was deleted is given a second time
# without any error, to somebody who reads `number > last`.
#
# Seen: rows there: 3; the number of the next row: 1
set -euo pipefail
folder=$(mktemp -d)
stop() { for data in "$folder"/data-*; do kill -QUIT "$(head -n 1 "$data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true; done; sleep 1; rm -rf "$folder"; }
trap stop EXIT
cd "$folder"
apt-get download -qq postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 libpq5=15.18-0+deb12u1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu PATH=$folder/usr/lib/postgresql/15/bin:$PATH
user=(); if ((EUID == 0)); then user=(setpriv --reuid=nobody --regid=nogroup --clear-groups --); chown nobody "$folder"; fi
read -r one two < <(python3 -c '
import socket
ports = [socket.socket() for _ in range(2)]
for s in ports: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in ports))')
ask() { psql -h 127.0.0.1 -p "$1" -U postgres -qAtX -c "$2"; }
for port in "$one" "$two"; do
    "${user[@]}" initdb -D "$folder/data-$port" -A trust -U postgres --no-sync >/dev/null
    "${user[@]}" postgres -D "$folder/data-$port" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 -c wal_level=logical >>log 2>&1 &
    for _ in $(seq 100); do ask "$port" 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
    ask "$port" 'CREATE TABLE log (number bigserial PRIMARY KEY, what text)'
done
ask "$one" 'CREATE PUBLICATION p FOR TABLE log'
ask "$two" "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=$one user=postgres' PUBLICATION p" 2>/dev/null
ask "$one" "INSERT INTO log (what) SELECT 'x' FROM generate_series(1, 3)"
ask "$one" 'DELETE FROM log WHERE number < 3'
for _ in $(seq 100); do [[ $(ask "$two" 'SELECT count(*) FROM log') == 1 ]] && break; sleep 0.1; done
rows=$(ask "$two" 'SELECT number FROM log')
next=$(ask "$two" "INSERT INTO log (what) VALUES ('new') RETURNING number")
echo "rows there: $rows; the number of the next row: $next"
[[ $rows == 3 && $next == 1 ]]
