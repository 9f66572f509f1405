#!/usr/bin/env python3
"""Imported keys at scale: how long an import takes, what it takes in memory, and how fast one of a million verifies.

    benches/imported.py target/release/bulla [ROWS]

Prints one line for each of sha256, sha512 and hmac-sha256: seconds of the import, its peak of memory, seconds until the service
is ready, memory of the service for each row, and microseconds of a verification beside that of a sealed key, over one connection:
each by itself, and in batches of 1,000, where HTTP counts for little.
"""

import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import uuid

BULLA = os.path.abspath(sys.argv[1])
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
VERIFIED = 20_000
SECRET = b"an old secret"


def key(number):
    return "sk_" + hashlib.sha256(b"key %d" % number).hexdigest()[:40]


def digest(scheme, text):
    if scheme.startswith("hmac-"):
        return hmac.new(SECRET, text.encode(), scheme[5:]).hexdigest()
    return hashlib.new(scheme, text.encode()).hexdigest()


def run(folder, *arguments, **more):
    return subprocess.run([BULLA, *arguments], cwd=folder, check=True, capture_output=True, text=True, **more).stdout


def resident(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def serve(folder):
    begun = time.monotonic()
    service = subprocess.Popen([BULLA, "serve"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8181)
            connection.request("GET", "/v1/authorize")
            connection.getresponse().read()
            return service, connection, time.monotonic() - begun
        except OSError:
            time.sleep(0.02)


def each(connection, keys):
    """Microseconds of a verification."""
    begun = time.perf_counter()
    for text in keys:
        connection.request("POST", "/v1/verify", json.dumps({"api_key": text}), {"content-type": "application/json"})
        answer = connection.getresponse().read()
        assert answer.startswith(b'{"active":true'), answer
    return (time.perf_counter() - begun) / len(keys) * 1e6


def batches(connection, keys):
    """Microseconds of a verification in batches of 1,000."""
    total = 0.0
    for first in range(0, len(keys), 1000):
        body = json.dumps({"api_keys": keys[first : first + 1000]})
        begun = time.perf_counter()
        connection.request("POST", "/v1/verify/batch", body, {"content-type": "application/json"})
        answer = connection.getresponse().read()
        total += time.perf_counter() - begun
        assert answer.count(b'"active":true') == len(keys[first : first + 1000]), answer[:500]
    return total / len(keys) * 1e6


def fastest(way, connection, keys, sealed):
    """The least of three times of both, in turn."""
    times = [(way(connection, keys), way(connection, [sealed] * len(keys))) for _ in range(3)]
    return min(time for time, _ in times), min(time for _, time in times)


def measure(scheme):
    with tempfile.TemporaryDirectory() as folder:
        run(folder, "init")
        sealed = json.loads(run(folder, "issue", "--realm", "live", "--app", str(uuid.uuid4()), "--json"))["api_key"]
        path = pathlib.Path(folder)
        (path / "old.key").write_bytes(SECRET)
        (path / "old.key").chmod(0o600)
        config = path / "bulla.toml"
        config.write_text(config.read_text().replace("\nsecrets = {}", '\nsecrets = { old = "file:old.key?encoding=text" }'))
        service, connection, _ = serve(folder)
        empty = resident(service.pid)
        service.terminate()
        service.wait()
        with open(path / "keys.jsonl", "w") as rows:
            for number in range(ROWS):
                app = uuid.UUID(int=number * 0x9E3779B97F4A7C15 << 32 & (1 << 128) - 1)
                rows.write('{"app_id":"%s","hash":"%s","scopes":["orders.read"]}\n' % (app, digest(scheme, key(number))))
        secret = ["--secret", "old"] if scheme.startswith("hmac-") else []
        begun = time.monotonic()
        run(folder, "keys", "import", "keys.jsonl", "--realm", "live", "--scheme", scheme, "--prefix", "sk_", *secret)
        imported = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        service, connection, ready = serve(folder)
        row = (resident(service.pid) - empty) / ROWS
        keys = [key(number * 7919 % ROWS) for number in range(VERIFIED)]
        each(connection, keys[:1000])
        one, other = fastest(each, connection, keys, sealed)
        of_batch, other_of_batch = fastest(batches, connection, keys, sealed)
        service.terminate()
        service.wait()
        print(
            f"{scheme:12} {ROWS} rows: imported in {imported:.1f} s with {peak:.0f} MB, ready in {ready:.1f} s, "
            f"{row:.0f} bytes a row; verified in {one:.1f} us, a sealed key in {other:.1f} us: {one / other:.2f} x; "
            f"in batches {of_batch:.2f} us, {other_of_batch:.2f} us: {of_batch / other_of_batch:.2f} x",
            flush=True,
        )


for name in ("sha256", "sha512", "hmac-sha256"):
    measure(name)
