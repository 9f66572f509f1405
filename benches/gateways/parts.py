"""What the gateways under measure share: a deployment of bulla with its service, API keys, and files of theirs."""

import base64
import json
import pathlib
import re
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
# The end of the name of a setting that asks the program before.
BEFORE = ", before"
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


def ids_of_nobody(count):
    """Ids of API keys that were never issued."""
    return [f"live_{base62(1 << 32 | secrets.randbits(32), 11)}{base62(secrets.randbits(64), 11)}" for _ in range(count)]


class Deployment:
    """A folder of `bulla init` with a running service on the core of the load, and, where asked, a million revoked keys and no
    second service on a Unix socket."""

    def __init__(self, bulla, folder, revoked=0, unix=True):
        self.bulla, self.folder = bulla, folder
        folder.mkdir()
        self.admin_key = self.run("init", "--json")["admin_api_key"]
        self.port, self.admin_port, self.socket = free_port(), free_port(), folder / "data.sock"
        self.processes = [self._serve(f"127.0.0.1:{self.port}", self.admin_port)]
        if unix:
            # The same again on a Unix socket.
            self.processes.append(self._serve(f"unix:{self.socket}", free_port()))
        for _ in range(revoked // BATCH):
            self.post("/v1/revocations", {"ids": ids_of_nobody(BATCH), "reason": "measured"})

    def _serve(self, data, admin_port):
        log = self.folder / f"serve-{admin_port}.log"
        command = [self.bulla, "serve", "--data-listen", data, "--admin-listen", f"127.0.0.1:{admin_port}"]
        process = subprocess.Popen(["taskset", "-c", LOAD_CORE, *command], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=log.open("w"), env={"BULLA_METRICS__LISTEN": f"127.0.0.1:{free_port()}"})
        until_listening(admin_port, process, log)
        return process

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

    def settings(self):
        """What a module is opened with: the keyring itself, and this service's feed."""
        path = self.folder / "gate.toml"
        if not path.exists():
            key = self.folder / "feed-api.key"
            key.write_text(self.issue("bulla", "--scope", "feed"))
            key.chmod(0o600)
            shown = self.run("keyring", "show", "--json")
            path.write_text(f"""[keyring]
source = "file:keyring.toml"
mac_source = "file:keyring-mac.key"
trusted_sources = ["file:"]
[follow]
sources = ["http://127.0.0.1:{self.port}"]
keyring_id = "{shown['keyring_id']}"
public_key = "{shown['feed_public_key']}"
api_key = "feed-api.key"
state = "state-of-gateways"
[verify]
default_realms = ["live"]
[realms.live]
""")
        return path

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


def three(parts, name, gateway, needs, **more):
    """A module with a good key, a forged one, and a good one beside a million revoked ones. `gateway` makes a setting for the settings
    of a deployment."""
    accepted = gateway(parts.service.settings(), f"{name}: accepted", parts.good, needs=needs, **more)
    yield accepted
    yield gateway(parts.service.settings(), f"{name}: forged", parts.good, needs=needs, status=401, shares=accepted,
                  shows=[f"Authorization: Bearer {parts.forged}"], **more)
    if all(path.exists() for path in needs) and re.search(parts.only, f"{accepted.gateway} {name}: a million revoked"):
        million, good = parts.million()
        yield gateway(million.settings(), f"{name}: a million revoked", good, needs=needs, **more)


def beside_before(parts, gateway, name, *arguments, **more):
    """A way to ask bulla, and the same way to ask the program before. `gateway` makes a setting for a deployment and a good key."""
    yield gateway(parts.service, parts.good, name, *arguments, kind="forward", **more)
    if parts.before:
        before, good = parts.before
        yield gateway(before, good, f"{name}{BEFORE}", *arguments, kind="forward", **more)


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
