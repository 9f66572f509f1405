#!/usr/bin/env bash
# SQLite 3.54.1 (in apsw 3.54.1.0, PyPI) removes the write-ahead log beside an empty database file, also where the database is
# opened with SQLITE_OPEN_READONLY. After a database was emptied by mistake (`: > x.db`, a failed copy) all that was written
# last in `x.db-wal`; the first look at it deletes that. Copy `-wal` away before anything opens the file.
#
# Seen: before the read-only open: x.db x.db-wal; after it: x.db
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
cat >see.py <<'PY'
import os, signal, apsw
if os.fork() == 0:
    writer = apsw.Connection("x.db")
    writer.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)").fetchall()
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
os.remove("x.db-shm")
open("x.db", "w").close()
files = lambda: " ".join(sorted(name for name in os.listdir() if name.startswith("x.db")))
print("before the read-only open:", files())
reader = apsw.Connection("x.db", flags=apsw.SQLITE_OPEN_READONLY)
reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
print("after it:", files())
PY
seen=$(venv/bin/python see.py)
echo "$seen"
[[ $seen == $'before the read-only open: x.db x.db-wal\nafter it: x.db' ]]
