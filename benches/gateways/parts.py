"""What the gateways under measure share: a deployment of bulla with its service, API keys, and files of theirs."""

import base64
import json
import pathlib
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"
REQUIRED = "realm:live,scope:orders.read"
IDENTITY = ["app-id", "api-key-id", "realm", "scopes", "expires-at", "assertion"]
MILLION, BATCH = 1_000_000, 10_000
GATEWAY_CORE, LOAD_CORE = "0", "1"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_listening(port, process, log):
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"does not listen: {' '.join(map(str, process.args))}\n{log.read_text(errors='replace')[:3000]}") from None
            time.sleep(0.05)


def base62(number, digits):
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 62)
        text = BASE62[digit] + text
    return text


class Deployment:
    """A folder of `bulla init` with a running service on the core of the load, and, where asked, a million revoked keys."""

    def __init__(self, bulla, folder, revoked=0):
        self.bulla, self.folder = bulla, folder
        folder.mkdir()
        self.admin_key = self.run("init", "--json")["admin_api_key"]
        self.port, self.admin_port, self.metrics_port = free_port(), free_port(), free_port()
        log = folder / "serve.log"
        self.process = subprocess.Popen(
            ["taskset", "-c", LOAD_CORE, bulla, "serve", "--data-listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin_port}"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=log.open("w"),
            env={"BULLA_METRICS__LISTEN": f"127.0.0.1:{self.metrics_port}"})
        until_listening(self.port, self.process, log)
        for _ in range(revoked // BATCH):
            ids = [f"live_{base62(secrets.randbits(120), 22)}" for _ in range(BATCH)]
            self.post("/v1/revocations", {"ids": ids, "reason": "measured"})

    def run(self, *arguments):
        return json.loads(subprocess.run([self.bulla, *arguments], cwd=self.folder, check=True, capture_output=True, text=True).stdout)

    def post(self, path, value):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", json.dumps(value).encode(),
                                         {"Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=60))

    def issue(self, realm, *more):
        return self.run("issue", "--json", "--realm", realm, "--app", APP, *more)["api_key"]

    def keys(self):
        """One that is accepted, and one of the same length that was changed, with a right checksum."""
        good = self.issue("live", "--scope", "orders.read", "--scope", "reports.read", "--ttl", "1d")
        body = good[:59] + ("1" if good[59] == "0" else "0") + good[60:-6]
        return good, body + base62(zlib.crc32(body.encode()), 6)

    def end(self):
        self.process.kill()
        self.process.wait()


def many_keys(good):
    """A thousand keys for a gateway's own list, the good one among them."""
    return [good] + [f"live_{secrets.token_urlsafe(92)[:len(good) - 5]}" for _ in range(999)]


def jwt(folder):
    """A JWT by RS256 and the key set that it verifies with, as openssl makes them."""
    def url(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    key = folder / "jwt.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    modulus = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-modulus"], check=True, capture_output=True, text=True).stdout
    modulus = bytes.fromhex(modulus.strip().split("=")[1])
    claims = {"iss": "https://bulla.example", "sub": APP, "exp": int(time.time()) + 86400, "scope": "orders.read reports.read"}
    text = ".".join(url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims))
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True, capture_output=True).stdout
    keys = {"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", "n": url(modulus), "e": "AQAB"}]}
    return f"{text}.{url(signature)}", json.dumps(keys)


def found(*names):
    """The first of these programs that there is."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise SystemExit(f"not installed: {' or '.join(map(str, names))}")
