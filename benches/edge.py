#!/usr/bin/env python3
"""A fresh edge: how long it takes until it refuses what was revoked, and how much memory, by the number of revocations.

    benches/edge.py target/release/bulla [REVOCATIONS …]

A node on SQLite and an edge, both of this machine, over HTTP. An edge that has nothing loads a snapshot; one that starts again
has its state on disk. Prints seconds from the start of the edge until it refuses the key that was revoked last and accepts
another one, the edge's memory then, and the most that it ever had.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "gateways"))
from parts import APP, BATCH, MILLION, free_port, ids_of_nobody, until_listening  # noqa: E402

BULLA = os.path.abspath(sys.argv[1])
COUNTS = [int(text) for text in sys.argv[2:]] or [0, MILLION]


def run(folder, *arguments):
    return json.loads(subprocess.run([BULLA, *arguments, "--json"], cwd=folder, check=True, capture_output=True).stdout)


def post(address, path, value, key=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"http://{address}{path}", json.dumps(value).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=60))


def serve(folder, address, *more):
    environment = {**os.environ, "BULLA_METRICS__LISTEN": ""}
    with open(folder / "serve.log", "a", encoding="utf-8") as log:
        return subprocess.Popen([BULLA, "serve", "--data-listen", address, *more], cwd=folder, env=environment,
                                stdout=subprocess.DEVNULL, stderr=log)


def memory(process, name):
    return int(re.search(rf"{name}:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


def answers(address, key):
    """Whether the key is accepted; None where there is no answer yet."""
    try:
        return post(address, "/v1/verify", {"api_key": key})["active"]
    except (OSError, urllib.error.URLError):
        return None


def until_in_force(edge, address, good, revoked):
    while not (answers(address, revoked) is False and answers(address, good) is True):
        if edge.poll() is not None:
            raise SystemExit("the edge ended")
        time.sleep(0.005)


def start(folder, address, good, revoked, what):
    begun = time.monotonic()
    edge = serve(folder, address, "--role", "verifier")
    until_in_force(edge, address, good, revoked)
    took = time.monotonic() - begun
    print(f"  {what}: {took:.2f} s, {memory(edge, 'VmRSS'):.0f} MB, at most {memory(edge, 'VmHWM'):.0f} MB", flush=True)
    edge.terminate()
    edge.wait()


def measure(count):
    with tempfile.TemporaryDirectory() as root:
        node, edge = pathlib.Path(root) / "node", pathlib.Path(root) / "edge"
        node.mkdir()
        edge.mkdir()
        admin_key = run(node, "init")["admin_api_key"]
        data, admin, edge_data = (f"127.0.0.1:{free_port()}" for _ in range(3))
        service = serve(node, data, "--admin-listen", admin)
        until_listening(admin.split(":")[1], service, node / "serve.log")
        for _ in range(count // BATCH):
            post(admin, "/v1/revocations", {"ids": ids_of_nobody(BATCH), "reason": "measured"}, admin_key)
        good, revoked = (run(node, "issue", "--realm", "live", "--app", APP)["api_key"] for _ in range(2))
        caller = run(node, "issue", "--realm", "bulla", "--app", APP, "--scope", "feed")["api_key"]
        shown = run(node, "keyring", "show")
        run(edge, "edge", "init", "--follow", f"http://{data}", "--keyring-id", shown["keyring_id"], "--feed-key",
            shown["feed_public_key"], "--realm", "live")
        recipient = subprocess.run([BULLA, "edge", "recipient"], cwd=edge, check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([BULLA, "keyring", "export", "--realm", "live", "--to", recipient, "--out", "live.export"], cwd=node, check=True,
                       capture_output=True)
        exports = edge / "exports"
        exports.mkdir(exist_ok=True)
        (node / "live.export").rename(exports / "live.export")
        key = edge / "feed-api.key"
        key.touch(0o600)
        key.write_text(caller)
        # The id is the beginning of the key: the realm, `_` and 22 characters.
        post(admin, "/v1/revocations", {"ids": [revoked[: len("live_") + 22]]}, admin_key)
        print(f"{count} revocations; the node has {memory(service, 'VmRSS'):.0f} MB", flush=True)
        start(edge, edge_data, good, revoked, "from nothing")
        start(edge, edge_data, good, revoked, "from its disk")
        service.terminate()
        service.wait()


for number in COUNTS:
    measure(number)
