"""A second implementation of the bulla v1 API key, issuer and verifier, written from docs/FORMAT.md.

It is there to be compared with, not to be put into production: it keeps no ledger, makes hashes of secret
halves and keeps none, knows no revocations and takes no care of timing. It needs the package `cryptography`.

As a program it reads one JSON object per line and answers each with one, bytes in hex. `op` chooses: `issue`
takes what issue() takes (`claims` as hex, or as an object for encode_claims); `seal` takes a `plaintext` in
place of app, times and claims, and checks nothing; `verify` takes the fields of a file of tests/vectors;
`hash` takes an `api_key` with a secret half, `keyring_id`, `pepper` (its source), `pepper_version`, and for
Argon2id `argon2id` as [m, t, p] and perhaps `salt`, and answers with `h` and what is `stored`.
"""
import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import os
import re
import sys
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = (0, 2, 3, 5, 6, 7, 9, 10, 11)  # how many digits a group of so many bytes takes
REALM = re.compile(r"(?=.{2,24}\Z)[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
SHORTEST, LONGEST = 86, 512  # characters of an API key
CHECKSUM, SECRET, ID = 6, 44, 22  # characters of its parts
NONCE = {1: 12, 2: 24}  # bytes, by suite
TAG, FIXED, MAX_CLAIMS = 16, 24, 240  # bytes; FIXED is the app id and both times
SKEW = 300  # seconds by which an issuer's clock may run ahead
AUD, NBF, SCOPE, CIDR, SECRET_CLAIM, META = 3, 5, 9, -65537, -65538, -65539
NAMES = {"aud": AUD, "nbf": NBF, "scope": SCOPE, "cidr": CIDR, "secret": SECRET_CLAIM, "meta": META}


class Refused(Exception):
    def __init__(self, reason, verdict="rejected"):
        super().__init__(reason)
        self.reason, self.verdict = reason, verdict


def require(condition, reason):
    if not condition:
        raise Refused(reason)


# -- Issuing ------------------------------------------------------------------------------------------------
def issue(keyring_id, suite, version, master, realm, app_id, issued_at, expires_at, claims: bytes,
          nonce=None, secret=None) -> str:
    """A new API key. The nonce, and the secret half where the claims call for one, are drawn here; to hand
    them in is for tests: nothing is ever sealed twice under one nonce."""
    nonce = os.urandom(NONCE[suite]) if nonce is None else nonce
    has_secret = SECRET_CLAIM in decode_claims(claims)
    secret = os.urandom(32) if has_secret and secret is None else secret
    if not (REALM.match(realm) and version >= 1 and len(app_id) == 16 and len(keyring_id) == 16
            and len(master) == 32 and len(nonce) == NONCE[suite] and has_secret == (secret is not None)
            and (secret is None or len(secret) == 32)):
        raise ValueError("this cannot be issued")
    plaintext = app_id + u32(issued_at) + u32(expires_at) + claims  # u32 raises on a time that does not fit
    return write(realm, seal(keyring_id, suite, version, master, realm, plaintext, nonce), secret)


def seal(keyring_id, suite, version, master, realm, plaintext, nonce) -> bytes:
    """The bytes of the body: id ‖ sealed."""
    key, gcm_nonce = aead_inputs(suite, seal_key(keyring_id, suite, version, master, realm), nonce)
    aad = associated_data(suite, version, realm)
    return u32(version) + nonce + AESGCM(key).encrypt(gcm_nonce, plaintext, aad)


def write(realm, body: bytes, secret=None) -> str:
    text = realm + "_" + base62(body) + ("" if secret is None else "_" + base62(secret))
    return text + checksum(text.encode())


# -- Verifying ----------------------------------------------------------------------------------------------
def verify(text, keyring, realms, now, audience=None, ip=None, scopes=()) -> dict:
    """The verdict on a presented text at `now`, in whole Unix seconds. keyring: {"keyring_id": bytes,
    "versions": [{"version", "suite", "state", "master": bytes, "verify_until": int or None}]}."""
    try:
        contents = check(text, keyring, realms, now, audience, ip, scopes)
    except Refused as refused:
        return {"verdict": refused.verdict, "reason": refused.reason}
    return {"verdict": "accepted", "reason": None, **contents}


def check(text, keyring, realms, now, audience, ip, scopes) -> dict:
    realm, body_text, body, secret = parse(text)
    require(realm in realms, "realm")
    version = int.from_bytes(body[:4], "big")
    entry = next((v for v in keyring["versions"] if v["version"] == version), None)
    require(entry is not None, "version_unknown")
    require(entry["state"] in ("staged", "active", "deactivated"), "version_refused")
    require(entry["verify_until"] is None or now < entry["verify_until"], "version_refused")

    plaintext = unseal(keyring["keyring_id"], entry["suite"], version, entry["master"], realm, body)
    app_id, issued_at = plaintext[:16], int.from_bytes(plaintext[16:20], "big")
    expires_at, claims = int.from_bytes(plaintext[20:24], "big"), decode_claims(plaintext[24:])

    require(issued_at <= now + SKEW and claims.get(NBF, 0) <= now, "not_yet_valid")
    require(expires_at == 0 or now < expires_at, "expired")
    # A verifier that knows revocations looks here for the id, the app and the realm: "revoked".
    require(CIDR not in claims or ip is not None and is_within(ip, claims[CIDR]), "address")
    require(AUD not in claims or audience in claims[AUD], "audience")

    require(SECRET_CLAIM not in claims or secret is not None, "secret_missing")
    require(SECRET_CLAIM in claims or secret is None, "secret_surplus")
    if secret is not None:  # a verifier that has the stored hashes compares here: "secret_wrong"
        raise Refused("secret_unchecked", verdict="could_not_tell")
    require(all(scope in claims.get(SCOPE, []) for scope in scopes), "scope")

    return {"api_key_id": realm + "_" + body_text[:ID], "realm": realm, "version": version,
            "app_id": str(uuid.UUID(bytes=app_id)), "issued_at": issued_at, "expires_at": expires_at,
            "scopes": claims.get(SCOPE, []), "audience": claims.get(AUD, []), "not_before": claims.get(NBF),
            "cidr": [str(network) for network in claims.get(CIDR, [])], "meta": claims.get(META, {}),
            "has_secret": SECRET_CLAIM in claims}


def parse(text):
    """(realm, body as text, body's bytes, secret's bytes or None). Lengths are those of the UTF-8 bytes."""
    raw = text.encode("utf-8", "surrogatepass")
    require(SHORTEST <= len(raw) <= LONGEST, "malformed")
    require(raw[-CHECKSUM:] == checksum(raw[:-CHECKSUM]).encode(), "checksum")
    require(raw.isascii(), "malformed")
    realm, _, body = raw[:-CHECKSUM].decode("ascii").rpartition("_")
    secret = None
    if len(body) == SECRET:
        secret = from_base62(body)
        realm, _, body = realm.rpartition("_")
    require(REALM.match(realm), "malformed")
    decoded = from_base62(body)
    # Only the version tells the suite; here the body must fit the shorter or the longer of the two.
    require(4 + NONCE[1] + FIXED + TAG <= len(decoded) <= 4 + NONCE[2] + FIXED + MAX_CLAIMS + TAG, "malformed")
    return realm, body, decoded, secret


def unseal(keyring_id, suite, version, master, realm, body) -> bytes:
    nonce, ciphertext = body[4:4 + NONCE[suite]], body[4 + NONCE[suite]:]
    require(FIXED + TAG <= len(ciphertext) <= FIXED + MAX_CLAIMS + TAG, "malformed")
    key, gcm_nonce = aead_inputs(suite, seal_key(keyring_id, suite, version, master, realm), nonce)
    try:
        return AESGCM(key).decrypt(gcm_nonce, ciphertext, associated_data(suite, version, realm))
    except InvalidTag:
        raise Refused("seal") from None


def is_within(ip, networks) -> bool:
    address = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)  # never, where the families differ


# -- Text ---------------------------------------------------------------------------------------------------
def base62(data: bytes) -> str:
    text = ""
    for start in range(0, len(data), 8):
        group = data[start:start + 8]
        value, places = int.from_bytes(group, "big"), reversed(range(DIGITS[len(group)]))
        text += "".join(ALPHABET[value // 62 ** place % 62] for place in places)
    return text


def from_base62(text: str) -> bytes:
    data = b""
    for start in range(0, len(text), 11):
        group, value = text[start:start + 11], 0
        require(len(group) in DIGITS, "malformed")
        for character in group:
            require(character in ALPHABET, "malformed")
            value = value * 62 + ALPHABET.index(character)
        size = DIGITS.index(len(group))
        require(value < 1 << 8 * size, "malformed")
        data += value.to_bytes(size, "big")
    return data


def checksum(before: bytes) -> str:
    return base62(u32(binascii.crc32(before)))

def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


# -- Keys ---------------------------------------------------------------------------------------------------
def hkdf_expand(key, info) -> bytes:
    """HKDF-Expand-SHA256 to 32 bytes: one block, so one HMAC."""
    return hmac.digest(key, info + b"\x01", "sha256")

def seal_key(keyring_id, suite, version, master, realm) -> bytes:
    return hkdf_expand(master, b"bulla/v1 seal\0" + keyring_id + bytes([suite]) + u32(version) + realm.encode())

def associated_data(suite, version, realm) -> bytes:
    return b"bulla/v1\0" + bytes([suite]) + u32(version) + realm.encode()

def key_check_value(keyring_id, version, master) -> bytes:
    return hkdf_expand(master, b"bulla/v1 kcv\0" + keyring_id + u32(version))[:8]

def pepper_key(keyring_id, version, source) -> bytes:
    return hkdf_expand(source, b"bulla/v1 pepper\0" + keyring_id + u32(version))

def secret_hash(pepper, secret, realm, body_text) -> bytes:
    return hmac.digest(pepper, secret + hashlib.sha256(f"{realm}_{body_text}".encode()).digest(), "sha256")

def stored_hash(h, pepper_version, argon2id=None, salt=None) -> str:
    """What is stored of h: as it is, or, with argon2id = (m, t, p), through Argon2id under a random salt."""
    keyid = b64(u32(pepper_version))
    if argon2id is None:
        return f"$hmac-sha256$keyid={keyid}$-${b64(h)}"
    (m, t, p), salt = argon2id, os.urandom(16) if salt is None else salt
    tag = Argon2id(salt=salt, length=32, iterations=t, lanes=p, memory_cost=m).derive(h)
    return f"$argon2id$v=19$m={m},t={t},p={p},keyid={keyid}${b64(salt)}${b64(tag)}"

def b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def aead_inputs(suite, key, nonce):
    """The key and nonce for AES-256-GCM. XAES-256-GCM derives them from both halves of its nonce:
    Kx = CMAC(K, 00 01 "X" 00 ‖ N[0..12]) ‖ CMAC(K, 00 02 "X" 00 ‖ N[0..12]), Nx = N[12..24]."""
    if suite == 1:
        return key, nonce
    halves = []
    for counter in (1, 2):
        mac = CMAC(AES(key))
        mac.update(bytes([0, counter]) + b"X\0" + nonce[:12])
        halves.append(mac.finalize())
    return halves[0] + halves[1], nonce[12:]


# -- Claims -------------------------------------------------------------------------------------------------
def decode_claims(data: bytes) -> dict:
    """The claims by their numbers; `aud` and `scope` become lists, `cidr` a list of networks."""
    if not data:
        return {}
    require(len(data) <= MAX_CLAIMS, "claims")
    try:
        claims, _ = read_cbor(data, 0)
        # One value has one encoding: what was read with little care must be what writing it again gives.
        require(isinstance(claims, dict) and claims and cbor(claims) == data, "claims")
        return {key: read_claim(key, value) for key, value in claims.items()}
    except (ValueError, IndexError, TypeError):
        raise Refused("claims") from None


def read_cbor(data, at):
    """(value, where it ends). Integers, bytes, text, arrays, maps and true; all else is an error."""
    if data[at] == 0xF5:
        return True, at + 1
    (major, argument), at = divmod(data[at], 32), at + 1
    if argument > 23:
        require(argument < 28, "claims")  # the rest is reserved, or an indefinite length
        end = at + (1 << argument - 24)
        argument, at = int.from_bytes(data[at:end], "big"), end
    if major in (0, 1):
        return (argument if major == 0 else -1 - argument), at
    if major in (2, 3):
        raw, at = data[at:at + argument], at + argument
        return (raw if major == 2 else raw.decode("utf-8")), at
    require(major in (4, 5), "claims")
    items = []
    for _ in range(argument if major == 4 else 2 * argument):
        item, at = read_cbor(data, at)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at


def read_claim(key, value):
    if key == NBF:
        require(type(value) is int and value >= 0, "claims")
    elif key == SECRET_CLAIM:
        require(value is True, "claims")
    elif key == SCOPE:
        value = read_text(value).split(" ")
        require("" not in value, "claims")
    elif key == AUD:
        value = [read_text(entry) for entry in (value if isinstance(value, list) else [value])]
        require(value, "claims")
    elif key == CIDR:
        require(isinstance(value, list) and value, "claims")
        value = [read_network(entry) for entry in value]
    else:
        require(key == META and isinstance(value, dict) and value, "claims")
        value = {read_text(name): read_text(entry) for name, entry in value.items()}
    return value


def read_text(value) -> str:
    require(isinstance(value, str) and value, "claims")
    return value


def read_network(value):
    require(isinstance(value, bytes) and len(value) in (5, 17), "claims")
    family = ipaddress.IPv4Network if len(value) == 5 else ipaddress.IPv6Network
    return family((value[:-1], value[-1]))  # a ValueError on host bits and on a prefix too long


def encode_claims(claims: dict) -> bytes:
    """From {"aud": text or list, "nbf": int, "scope": text or list, "cidr": list of text, "secret": True,
    "meta": dict}, any of them, unchecked; issue() checks."""
    entries = {NAMES[name]: value for name, value in claims.items()}
    if isinstance(entries.get(SCOPE), list):
        entries[SCOPE] = " ".join(entries[SCOPE])
    if CIDR in entries:
        networks = map(ipaddress.ip_network, entries[CIDR])
        entries[CIDR] = [n.network_address.packed + bytes([n.prefixlen]) for n in networks]
    return cbor(entries) if entries else b""


def cbor(value) -> bytes:
    if value is True:
        return b"\xf5"
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return cbor_head(4, len(value)) + b"".join(map(cbor, value))
    entries = sorted((cbor(key), cbor(entry)) for key, entry in value.items())
    return cbor_head(5, len(entries)) + b"".join(key + entry for key, entry in entries)


def cbor_head(major, argument) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    power = next(p for p in range(4) if argument < 1 << (8 << p))
    return bytes([major << 5 | 24 + power]) + argument.to_bytes(1 << power, "big")


# -- One JSON object per line -------------------------------------------------------------------------------
def answer(request: dict) -> dict:
    def unhex(field):
        return None if request.get(field) is None else bytes.fromhex(request[field])

    if request["op"] == "verify":
        versions = [entry | {"master": bytes.fromhex(entry["master"])} for entry in request["versions"]]
        keyring = {"keyring_id": unhex("keyring_id"), "versions": versions}
        return verify(request["api_key"], keyring, request["realms"], request["now"],
                      request.get("audience"), request.get("ip"), request.get("scopes", ()))
    if request["op"] == "hash":
        realm, body_text, _, secret = parse(request["api_key"])
        pepper = pepper_key(unhex("keyring_id"), request["pepper_version"], unhex("pepper"))
        h = secret_hash(pepper, secret, realm, body_text)
        return {"h": h.hex(), "stored": stored_hash(h, request["pepper_version"], request.get("argon2id"), unhex("salt"))}
    key = unhex("keyring_id"), request["suite"], request["version"], unhex("master"), request["realm"]
    if request["op"] == "seal":
        body = seal(*key, unhex("plaintext"), unhex("nonce"))
        return {"api_key": write(request["realm"], body, unhex("secret"))}
    claims = request.get("claims", "")
    claims = bytes.fromhex(claims) if isinstance(claims, str) else encode_claims(claims)
    return {"api_key": issue(*key, uuid.UUID(request["app_id"]).bytes, request["issued_at"],
                             request["expires_at"], claims, unhex("nonce"), unhex("secret"))}


def main():
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except (Refused, ValueError, KeyError, TypeError, OverflowError) as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
