"""Reads cases, one in a line, verifies each by docs/examples/capi/bulla.py, and prints what came out, as verify.c does."""

import os
import sys

sys.path.insert(0, sys.argv[1])
import bulla

library = bulla.load(sys.argv[2])
SETTINGS = "revocations = 'none'\n[keyring]\nsource = 'file:{keyring}'\nmac_source = 'file:mac.key'\n"


def text(field):
    return None if field == "-" else bytes.fromhex(field)


def texts(field):
    return [text(item).decode() for item in field.split(",")] if field else []


def escaped(item):
    return "".join(f"%{byte:02x}" for byte in item.encode())


for line in sys.stdin:
    folder, realms, scopes, audience, address, now, api_key = line.rstrip("\n").split("\t")
    realms, scopes, api_key, now = texts(realms), texts(scopes), text(api_key), int(now)
    audience, address = (None if field is None else field.decode() for field in (text(audience), text(address)))
    required = [*(("realm", item) for item in realms), *(("scope", item) for item in scopes)]
    required += [] if audience is None else [("aud", audience)]
    required = ",".join(f"{name}:{escaped(item)}" for name, item in required)
    tables = "".join(f"[realms.{realm}]\n" for realm in realms)

    # The MAC's key is handed over, which a worker without permissions may not read; the rest is on the disk.
    with open(os.path.join(folder, "mac.key"), "rb") as file:
        files = {"mac.key": file.read()}
    gate = bulla.Gate(library, text=SETTINGS.format(keyring="keyring.toml") + tables, folder=folder, files=files)
    route = gate.route(required)
    assert route.headers() == ["authorization", "x-api-key"]
    answer = route.verify(api_key, now, address)
    status = 0 if answer.is_accepted else 2 if answer.status == 503 else 1
    key_id = bulla.api_key_id(library, api_key)
    said = [status, answer.reason, answer.api_key_id, answer.realm, answer.version, answer.app_id.hex]
    said += [answer.issued_at, answer.expires_at, " ".join(answer.scopes), 1 if key_id is None else 0, key_id or ""]
    print(*said, sep="\t")
    assert list(answer.headers) == (bulla.HEADERS if answer.is_accepted else []), line

    # The same in a header, unless none can carry it.
    if api_key.isascii() and api_key.decode().isprintable() and "," not in api_key.decode() and api_key == api_key.strip() != b"":
        assert route.check({"x-API-key": api_key.decode(), "cookie": "a"}, now, address) == answer, line
    assert (answer.challenge is None) == (answer.status in (200, 503)), line

    # A realm that requires a secret half.
    strict = bulla.Gate(library, text=SETTINGS.format(keyring="keyring.toml") + tables.replace("]\n", "]\nsecret = 'required'\n"), folder=folder)
    untold = 503 if answer.is_accepted or answer.reason == "scope" else answer.status
    assert strict.route(required).verify(api_key, now, address).status == untold, line

    # Arguments that are none.
    try:
        route.verify(api_key, now, "x")
    except RuntimeError as error:
        assert str(error) == "not_an_address", error
    else:
        raise AssertionError("verified with an invalid address")

for settings, told in [
    (SETTINGS.format(keyring="keyring.toml"), "no [realms.NAME]"),
    (SETTINGS.format(keyring="nowhere.toml") + "[realms.live]\n", "nowhere.toml"),
    ("[realms.live]\n", "revoked keys would be accepted"),
]:
    try:
        bulla.Gate(library, text=settings, folder=folder)
    except RuntimeError as error:
        assert told in str(error), error
    else:
        raise AssertionError(f"opened with {settings}")
