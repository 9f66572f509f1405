"""Writes tests/vectors: one API key and its verdict per file, the same bytes at every run.

Each file names the whole situation (keyring, accepted realms, time, what the caller said of itself) and what
a verifier without hashes of secret halves is to answer. The verdicts stand here, case by case; the reference
verifier only has to agree with them, or nothing is written. With --check nothing is written either, and the
files must be there as they are.
"""

import dataclasses
import hashlib
import json
import pathlib
import sys
import uuid

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import bulla_reference as bulla
from bulla_reference import ALPHABET, base62, checksum, encode_claims, write

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
PAGE = HERE.parent.parent / "docs" / "FORMAT.md"

KEYRING_ID = bytes(range(0xA0, 0xB0))
MASTER_7, MASTER_8 = bytes(range(0x00, 0x20)), bytes(range(0x60, 0x80))
APP = uuid.UUID("3f2b8c1e-9a7d-4d52-8a55-0123456789ab")
SECRET_HALF = bytes(range(0x80, 0xA0))
ISSUED, NOW, EXPIRES = 1795000000, 1800000000, 1826536000
U32_MAX, U64_MAX = 2**32 - 1, 2**64 - 1

cases = {}


# -- Building keys and cases --------------------------------------------------------------------------------
@dataclasses.dataclass
class Key:
    name: str  # the nonce comes from it, so no two keys share one
    suite: int = 1
    version: int = 0
    master: bytes = b""
    keyring_id: bytes = KEYRING_ID
    realm: str = "acme_live"
    issued_at: int = ISSUED
    expires_at: int = EXPIRES
    claims: dict | bytes = dataclasses.field(default_factory=dict)
    nonce: bytes = b""
    secret: bytes | None = None

    def __post_init__(self):
        self.version = self.version or {1: 7, 2: 8}[self.suite]
        self.master = self.master or {1: MASTER_7, 2: MASTER_8}[self.suite]
        size = bulla.NONCE[self.suite]
        self.nonce = self.nonce or hashlib.sha256(f"bulla vector {self.name}".encode()).digest()[:size]

    def plaintext(self) -> bytes:
        claims = encode_claims(self.claims) if isinstance(self.claims, dict) else self.claims
        return APP.bytes + bulla.u32(self.issued_at) + bulla.u32(self.expires_at) + claims

    def body(self) -> bytes:
        return bulla.seal(self.keyring_id, self.suite, self.version, self.master, self.realm,
                          self.plaintext(), self.nonce)

    def text(self) -> str:
        return write(self.realm, self.body(), self.secret)

    def contents(self) -> dict:
        """What a verifier reads in it, from what was put in and not from what was read."""
        scope, audience = self.claims.get("scope", ""), self.claims.get("aud", [])
        return {
            "api_key_id": self.realm + "_" + base62(bulla.u32(self.version) + self.nonce[:12]),
            "realm": self.realm,
            "version": self.version,
            "app_id": str(APP),
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "scopes": scope.split(),
            "audience": [audience] if isinstance(audience, str) else audience,
            "not_before": self.claims.get("nbf"),
            "cidr": self.claims.get("cidr", []),
            "meta": self.claims.get("meta", {}),
            "has_secret": self.secret is not None,
        }


def version(number, suite, master, state="staged", verify_until=None):
    return {"version": number, "suite": suite, "state": state, "master": master.hex(), "verify_until": verify_until}


V7, V8 = version(7, 1, MASTER_7, "active"), version(8, 2, MASTER_8)


def case(folder, name, why, text, expect, *, keyring_id=KEYRING_ID, versions=(V7, V8), realms=("acme_live",),
         now=NOW, audience=None, ip=None, scopes=()):
    path = f"{folder}/{name}.json"
    assert path not in cases, path
    cases[path] = {
        "why": why, "keyring_id": keyring_id.hex(), "versions": list(versions), "realms": list(realms), "now": now,
        "audience": audience, "ip": ip, "scopes": list(scopes), "api_key": text, "expect": expect,
    }


def accept(name, why, key=None, **situation):
    key = Key(name, **(key or {}))
    case("accepted", name, why, key.text(), {"verdict": "accepted", "reason": None, **key.contents()}, **situation)


def reject(reason, name, why, key=None, *, text=None, **situation):
    """`key`: what to seal, else `text` as it stands, else the first worked key."""
    if text is None:
        text = Key(name, **key).text() if key is not None else PLAIN
    case("rejected", name, why, text, {"verdict": "rejected", "reason": reason}, **situation)


def could_not_tell(name, why, key, **situation):
    expect = {"verdict": "could_not_tell", "reason": "secret_unchecked"}
    case("could-not-tell", name, why, Key(name, **{"secret": SECRET_HALF} | key).text(), expect, **situation)


def checked(before: str) -> str:
    """With the right checksum, whatever stands before it."""
    return before + checksum(before.encode())


def number62(value, digits) -> str:
    """So many base62 digits, also for a value that no group of bytes has."""
    assert value < 62**digits
    return "".join(ALPHABET[value // 62**place % 62] for place in reversed(range(digits)))


def flipped(data: bytes, at: int, bit=0x01) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


WORKED = [
    dict(nonce=bytes(range(0x40, 0x4C))),
    dict(nonce=bytes(range(0x50, 0x5C)), expires_at=0, claims={"scope": "read write"}),
    dict(nonce=bytes(range(0x70, 0x7C)), expires_at=0, claims={"secret": True}, secret=SECRET_HALF),
    dict(nonce=bytes(range(0x40, 0x58)), suite=2),
]
WORKED_TEXTS = [
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw",
    "acme_live_00000YHqiQd7Eu4eUpRFdL2o5fO0uDZE41dnzlCyuUwj94mSgZIZlOIHIgXJG4piaMGGSIJzHB3e09TuxrYTr9LZGtchLxy3"
    "hlYgs",
    "acme_live_00000YsKCmZ9zuH4PcLyd16ixLiyW8RsPDOzajtay2cN5wmccPAZiikEoIHvfjBpQQBEjDlUTBPki3Nz9S0Bb66_B226E8AC"
    "FV9BimeKbrQQkZCPXCR5YebzzD6HkXZFsnFP3z6hnV",
    "acme_live_00000cgHDRj5rOyRXQyt8V6Y9WY18D4Nv7Eu4eWtW8WpL39HMqGV1tE4TGSEanAsY02cUz8oZRPwQ5XXwECldmP649RuiU30"
    "4x4e",
]
PLAIN, SCOPED, WITH_SECRET, EXTENDED = WORKED_TEXTS
PLAIN_BODY = Key("worked", **WORKED[0]).body()
SCOPED_BODY = Key("worked", **WORKED[1]).body()
EXTENDED_BODY = Key("worked", **WORKED[3]).body()


# -- The cases ----------------------------------------------------------------------------------------------
def worked():
    why = "The worked example of docs/FORMAT.md: "
    accept("worked-1-plain", why + "suite 1, no claims.", WORKED[0])
    accept("worked-2-scope", why + "suite 1, a scope, never expiring.", WORKED[1])
    could_not_tell("worked-3-secret", why + "suite 1, a secret half, which a verifier without its hash cannot check.",
                   WORKED[2])
    accept("worked-4-suite-2", why + "suite 2, no claims.", WORKED[3])


def text_lengths():
    reject("malformed", "length-empty", "The empty text.", text="")
    reject("malformed", "length-1-character", "One character.", text="a")
    reject("malformed", "length-85-characters", "One character shorter than any API key; the checksum is right.",
           text=checked("ab_" + base62(PLAIN_BODY[:55])))
    reject("malformed", "length-85-characters-wrong-checksum", "The length is looked at before the checksum.",
           text="ab_" + "0" * 82)
    reject("checksum", "length-86-characters-wrong-checksum", "Long enough, so the checksum is what is wrong.",
           text="ab_" + "0" * 83)
    filler = "acme_live_" + "0" * 600
    reject("malformed", "length-512-characters", "Allowed in length, but no body is so long.",
           text=checked(filler[:506]))
    reject("checksum", "length-512-characters-wrong-checksum", "The checksum is looked at before the body.",
           text=filler[:512])
    reject("malformed", "length-513-characters", "Over the limit; the checksum is right.", text=checked(filler[:507]))
    reject("malformed", "length-513-characters-wrong-checksum", "The limit is looked at before the checksum.",
           text=filler[:513])


def checksums():
    def swapped(text, at):
        return text[:at] + text[at + 1] + text[at] + text[at + 2:]

    before, crc = PLAIN[:-6], int.from_bytes(bulla.from_base62(PLAIN[-6:]), "big")
    wrong = {
        "character-changed-in-body": ("One character of the body is another.", PLAIN[:40] + "A" + PLAIN[41:]),
        "character-changed-in-realm": ("One character of the realm is another.", "b" + PLAIN[1:]),
        "character-changed-in-checksum": ("The last character is another.", PLAIN[:-1] + "x"),
        "transposition": ("Two neighbours changed places.", swapped(PLAIN, 30)),
        "last-character-lost": ("Truncated by one character.", PLAIN[:-1]),
        "first-character-lost": ("The first character was not selected.", PLAIN[1:]),
        "left-out": ("The checksum is not there at all.", SCOPED[:-6]),
        "newline-at-the-end": ("A newline came along.", PLAIN + "\n"),
        "not-base62": ("The last six characters are no base62.", before + "------"),
        "over-32-bits": ("The last six characters are base62 for more than four bytes.", before + "zzzzzz"),
        "over-32-bits-congruent": ("The right checksum and 2^32 more: only a decoder that wraps takes it.",
                                   before + number62(crc + 2**32, 6)),
        "little-endian": ("The right checksum in the wrong byte order.", before + base62(crc.to_bytes(4, "little"))),
        "multi-byte-character": ("The sixth byte from the end is inside a character.", before + "é" + "aaaaa"),
    }
    for name, (why, text) in wrong.items():
        assert text not in (PLAIN, SCOPED)
        reject("checksum", "checksum-" + name, why, text=text)


def base62_groups():
    for size in range(1, 8):
        accept(f"base62-last-group-of-{size}", f"The body ends in a group of {size} bytes.",
               dict(claims={"meta": {"a": "b" * (size + 6)}}))
    accept("base62-largest-group", "A group of eight bytes FF, the largest there is.", dict(nonce=b"\xff" * 12))
    accept("base62-zero-group", "A group of eight bytes 00: eleven digits 0.", dict(nonce=bytes(12)))

    head, digits = "acme_live_", base62(PLAIN_BODY)
    for name, at in (("first", 0), ("last", 66)):
        value = int.from_bytes(PLAIN_BODY[at // 11 * 8:][:8], "big") + 2**64
        reject("malformed", f"base62-{name}-group-wraps", "A valid body with 2^64 added to one group: only a decoder "
               "that wraps takes it.", text=checked(head + digits[:at] + number62(value, 11) + digits[at + 11:]))
    reject("malformed", "base62-group-of-exactly-2-64", "The least value that does not fit eight bytes.",
           text=checked(head + digits[:66] + number62(2**64, 11)))
    for size in range(1, 8):
        body = Key(f"short group of {size}", claims={"meta": {"a": "b" * (size + 6)}}).body()
        value, width = int.from_bytes(body[-size:], "big") + 2**(8 * size), bulla.DIGITS[size]
        if value < 62**width:
            reject("malformed", f"base62-last-group-of-{size}-too-large",
                   f"A valid body with 2^{8 * size} added to its last group, of {size} bytes.",
                   text=checked(head + base62(body)[:-width] + number62(value, width)))
    value = int.from_bytes(SECRET_HALF[:8], "big") + 2**64
    secret_at = WITH_SECRET.rindex("_") + 1
    reject("malformed", "base62-secret-group-wraps", "The same in the secret half.",
           text=checked(WITH_SECRET[:secret_at] + number62(value, 11) + WITH_SECRET[secret_at + 11:-6]))
    for extra in (1, 4, 8):
        reject("malformed", f"base62-impossible-length-{extra}",
               f"A body of 77 + {extra} characters: no group of bytes takes {extra}.",
               text=checked(head + digits + "0" * extra))
    reject("malformed", "base62-character-missing", "A body one character short.", text=checked(head + digits[:-1]))


def characters():
    before = PLAIN[:-6]
    for name, character in (("dash", "-"), ("nul", "\0"), ("accented-letter", "é")):
        reject("malformed", "alphabet-" + name, "A character outside the alphabet in the body; the checksum is right.",
               text=checked(before[:50] + character + before[51:]))
    secret = WITH_SECRET[:-6]
    reject("malformed", "alphabet-dash-in-secret", "A character outside the alphabet in the secret half; the checksum "
           "is right.", text=checked(secret[:-5] + "-" + secret[-4:]))
    reject("malformed", "alphabet-space-in-front", "A space before the realm; the checksum is right.",
           text=checked(" " + before))


def structure():
    body, secret = base62(PLAIN_BODY), base62(SECRET_HALF)
    wrong = {
        "empty-realm": ("An underscore before the body, and nothing before it.", "_" + base62(SCOPED_BODY)),
        "empty-body": ("The body is empty.", "acme_live_" + body + "_"),
        "two-secrets": ("Two parts of 44 characters after the body.", f"acme_live_{body}_{secret}_{secret}"),
        "secret-43-characters": ("The part after the body is one character short of a secret half.",
                                 f"acme_live_{body}_{secret[1:]}"),
        "secret-45-characters": ("The part after the body is one character longer than a secret half.",
                                 f"acme_live_{body}_0{secret}"),
        "body-55-bytes": ("A body one byte shorter than any.", "acme_live_" + base62(PLAIN_BODY[:-1])),
        "body-309-bytes": ("A body one byte longer than any.", "acme_live_" + base62(PLAIN_BODY * 6)[:425]),
        "realm-upper-case": ("The realm in upper case.", "ACME_LIVE_" + body),
        "realm-leading-digit": ("A realm begins with a letter.", "1acme_" + body),
        "realm-trailing-underscore": ("A realm does not end in an underscore.", "acme__" + body),
        "realm-double-underscore": ("No two underscores in a row.", "acme__live_" + body),
        "realm-dash": ("A dash is no character of a realm.", "acme-live_" + body),
        "realm-1-character": ("A realm has two characters at least.", "a_" + base62(SCOPED_BODY)),
        "realm-25-characters": ("A realm has 24 characters at most.", "a" * 25 + "_" + body),
    }
    for name, (why, before) in wrong.items():
        reject("malformed", "structure-" + name, why, text=checked(before))
    longest = write("a" * 24, EXTENDED_BODY + bytes(309 - len(EXTENDED_BODY)), SECRET_HALF)
    assert len(longest) == 501
    reject("malformed", "structure-501-characters", "One character longer than the longest API key.", text=longest,
           realms=["a" * 24])


def body_lengths():
    reject("malformed", "body-suite-1-297-bytes", "241 bytes of claims: too long for suite 1, though not for suite 2.",
           dict(claims=claims_of(241)))
    reject("malformed", "body-suite-2-309-bytes", "241 bytes of claims: too long for suite 2.",
           dict(suite=2, claims=claims_of(241)))
    reject("malformed", "body-suite-2-67-bytes", "Too short for suite 2, though not for suite 1.",
           text=write("acme_live", EXTENDED_BODY[:-1]))


def realms():
    accept("realm-2-characters", "The shortest realm.", dict(realm="ab"), realms=["ab"])
    accept("realm-24-characters", "The longest realm.", dict(realm="a" * 24), realms=["a" * 24])
    accept("realm-digits-and-parts", "Digits anywhere but in front, and parts of one character.",
           dict(realm="a1_2_b_33"), realms=["a1_2_b_33"])
    accept("realm-one-of-several", "One of the realms that are accepted.", realms=["acme_test", "acme", "acme_live"])
    accept("realm-acme-beside-acme-live", "A realm with which another begins.", dict(realm="acme"),
           realms=["acme_live", "acme"])
    reject("realm", "realm-other", "A valid key of a realm that is not accepted here.", dict(realm="acme_test"))
    reject("realm", "realm-acme-where-acme-live", "acme is not acme_live.", dict(realm="acme"))
    reject("realm", "realm-acme-live-where-acme", "acme_live is not acme.", realms=["acme"])
    reject("seal", "realm-rewritten", "Sealed for acme_test, presented as acme_live.",
           text=write("acme_live", Key("realm-rewritten", realm="acme_test").body()), realms=["acme_test", "acme_live"])
    reject("seal", "realm-cut", "Sealed for acme_live, presented as acme.", text=checked("acme_" + PLAIN[10:-6]),
           realms=["acme", "acme_live"])


def versions():
    def v7(state, verify_until=None):
        return [version(7, 1, MASTER_7, state, verify_until)]

    accept("version-staged", "A staged version opens.", versions=v7("staged"))
    accept("version-deactivated", "A deactivated version opens.", versions=v7("deactivated"))
    accept("version-1", "The least version.", dict(version=1), versions=[version(1, 1, MASTER_7)])
    accept("version-u32-max", "The greatest version.", dict(version=U32_MAX), versions=[version(U32_MAX, 1, MASTER_7)])
    accept("version-verify-until-next-second", "The last second in which the version is accepted.",
           versions=v7("deactivated", NOW + 1))
    accept("version-same-master-as-another", "Two versions, one master key: the version tells them apart.",
           versions=[version(6, 1, MASTER_7), V7])
    reject("version_refused", "version-compromised", "A compromised version.", versions=v7("compromised"))
    reject("version_refused", "version-destroyed", "A destroyed version.", versions=v7("destroyed"))
    reject("version_refused", "version-verify-until-now", "From this second on the version is not accepted.",
           versions=v7("deactivated", NOW))
    reject("version_refused", "version-active-verify-until-now", "The same holds for the active version.",
           versions=v7("active", NOW))
    reject("version_unknown", "version-unknown", "No version 9 in the keyring.", dict(version=9, master=MASTER_7))
    body = bulla.seal(KEYRING_ID, 1, 0, MASTER_7, "acme_live", Key("version-0").plaintext(), Key("version-0").nonce)
    reject("version_unknown", "version-0", "Version 0 is never a version.", text=write("acme_live", body))
    reject("version_unknown", "version-empty-keyring", "A keyring without versions.", versions=[])


def seals():
    why = "One bit of {} is another; the checksum is right."
    parts = {"nonce-first-byte": 4, "nonce-last-byte": 15, "app-id": 16, "issued-at": 35, "expires-at": 36,
             "claims": 40, "tag-first-byte": -16, "tag-last-byte": -1}
    for part, at in parts.items():
        body = flipped(SCOPED_BODY, at, 0x80 if at < 0 else 0x01)
        reject("seal", "seal-flipped-" + part, why.format("the " + part.replace("-", " ")),
               text=write("acme_live", body))
    for part, at in {"nonce": 4, "extra-nonce-first-byte": 16, "extra-nonce-last-byte": 27, "tag": -1}.items():
        reject("seal", "seal-suite-2-flipped-" + part, why.format(f"the {part.replace('-', ' ')} of a suite 2 key"),
               text=write("acme_live", flipped(EXTENDED_BODY, at)))
    reject("version_unknown", "seal-flipped-version", why.format("the version, which none has then"),
           text=write("acme_live", flipped(PLAIN_BODY, 3)))
    reject("seal", "seal-flipped-version-known", why.format("the version, which now names another"),
           text=write("acme_live", flipped(PLAIN_BODY, 3)), versions=[version(6, 1, MASTER_7), V7])
    reject("seal", "seal-tag-zero", "A tag of zeros.", text=write("acme_live", PLAIN_BODY[:-16] + bytes(16)))
    reject("seal", "seal-last-byte-lost", "The body's last byte is missing.", text=write("acme_live", SCOPED_BODY[:-1]))
    reject("seal", "seal-spliced", "The id of one key, the sealed part of another.",
           text=write("acme_live", SCOPED_BODY[:16] + PLAIN_BODY[16:]))
    reject("seal", "seal-version-of-another", "Sealed as version 6, presented as version 7.",
           text=write("acme_live", bulla.u32(7) + Key("seal-version-of-another", version=6).body()[4:]),
           versions=[version(6, 1, MASTER_7), V7])
    reject("seal", "seal-suite-2-where-suite-1", "Sealed under suite 2; by the keyring the version is of suite 1.",
           text=EXTENDED, versions=[version(8, 1, MASTER_8)])
    reject("seal", "seal-suite-1-where-suite-2", "Sealed under suite 1; by the keyring the version is of suite 2.",
           text=SCOPED, versions=[version(7, 2, MASTER_7)])
    reject("malformed", "seal-suite-1-where-suite-2-short", "The same without claims, so too short for suite 2.",
           versions=[version(7, 2, MASTER_7)])
    reject("seal", "seal-other-keyring", "The same master key in another keyring.",
           keyring_id=bytes.fromhex("a0a1a2a3a4a5a6a7a8a9aaabacadaeb0"))
    reject("seal", "seal-other-master", "Another master key under this version.", dict(master=MASTER_8))

    key = Key("seal-master-used-directly")
    aad = bulla.associated_data(1, 7, "acme_live")
    sealed = AESGCM(MASTER_7).encrypt(key.nonce, key.plaintext(), aad)
    reject("seal", "seal-master-used-directly", "Sealed with the master key and not with the one derived from it.",
           text=write("acme_live", bulla.u32(7) + key.nonce + sealed))
    key = Key("seal-without-associated-data")
    sealed = AESGCM(bulla.seal_key(KEYRING_ID, 1, 7, MASTER_7, "acme_live")).encrypt(key.nonce, key.plaintext(), None)
    reject("seal", "seal-without-associated-data", "Sealed with the right key and nothing as associated data.",
           text=write("acme_live", bulla.u32(7) + key.nonce + sealed))
    key, aad = Key("seal-suite-2-without-xaes", suite=2), bulla.associated_data(2, 8, "acme_live")
    sealed = AESGCM(bulla.seal_key(KEYRING_ID, 2, 8, MASTER_8, "acme_live"))
    sealed = sealed.encrypt(key.nonce[12:], key.plaintext(), aad)
    reject("seal", "seal-suite-2-without-xaes", "Suite 2 without XAES-256-GCM's derivation: AES-256-GCM under the "
           "last half of the nonce.", text=write("acme_live", bulla.u32(8) + key.nonce + sealed))


def times():
    def issued(at, **more):
        return dict(issued_at=at, **more)

    accept("time-issued-300-seconds-ahead", "The most by which an issuer's clock may be ahead.", issued(NOW + 300))
    accept("time-issued-ahead-of-now-0", "The same at the beginning of time.", issued(300, expires_at=0), now=0)
    accept("time-last-second", "now is one second before expires_at.", dict(expires_at=NOW + 1))
    accept("time-never-expiring-past-2106", "Never expiring, at a time that does not fit 32 bits.",
           dict(expires_at=0), now=2**32 + 1)
    accept("time-never-expiring-at-u64-max", "Never expiring, at the end of time: now + 300 must not wrap.",
           dict(expires_at=0), now=U64_MAX)
    accept("time-all-u32-max", "Both times are the greatest there are.",
           issued(U32_MAX, expires_at=U32_MAX), now=U32_MAX - 1)
    accept("time-expiring-before-issued", "Odd, but in time: nothing compares the two times with one another.",
           issued(NOW + 300, expires_at=NOW + 1))
    accept("time-not-before-now", "nbf is this second.", dict(claims={"nbf": NOW}))
    accept("time-not-before-0", "nbf is zero, which is not the same as none.", dict(claims={"nbf": 0}))
    accept("time-not-before-past-2106", "nbf may be larger than 32 bits.",
           dict(expires_at=0, claims={"nbf": 2**32}), now=2**32)
    reject("not_yet_valid", "time-issued-301-seconds-ahead", "A second too far ahead.", issued(NOW + 301))
    reject("not_yet_valid", "time-issued-u32-max", "Issued in 2106.", issued(U32_MAX, expires_at=0))
    reject("not_yet_valid", "time-not-before-next-second", "For nbf there is no tolerance.",
           dict(claims={"nbf": NOW + 1}))
    reject("not_yet_valid", "time-not-before-u64-max", "The greatest nbf.", dict(claims={"nbf": U64_MAX}))
    reject("expired", "time-expired-now", "now is expires_at.", dict(expires_at=NOW))
    reject("expired", "time-expired-u32-max", "The greatest expires_at is a time and not never.",
           dict(expires_at=U32_MAX), now=U32_MAX)
    reject("expired", "time-expired-at-u64-max", "Expired at the end of time.", now=U64_MAX)
    reject("not_yet_valid", "time-not-yet-valid-and-expired", "Not yet valid goes before expired.",
           issued(NOW + 301, expires_at=NOW))


def claims_of(size) -> dict:
    """One claim of each kind but `secret`, `size` bytes in all."""
    claims = {"aud": ["https://api.example.com", "shop"], "nbf": ISSUED, "scope": "orders:read orders:write",
              "cidr": ["10.0.0.0/8", "2001:db8::/32"], "meta": {"team": "payments", "note": ""}}
    claims["meta"]["note"] = "x" * (size - len(encode_claims(claims)) - 1)  # a head of two bytes, not one
    assert len(encode_claims(claims)) == size
    return claims


def claims_accepted():
    fitting = dict(audience="shop", ip="10.1.2.3", scopes=["orders:write", "orders:read"])
    accept("claims-240-bytes", "One of each kind, to the last byte.", dict(claims=claims_of(240)), **fitting)
    accept("claims-240-bytes-suite-2", "The same under suite 2.", dict(suite=2, claims=claims_of(240)), **fitting)
    accept("claims-meta-order", "Deterministic encoding puts the shorter key first: \"b\" before \"aa\".",
           dict(claims={"meta": {"b": "1", "aa": "2"}}))
    accept("claims-meta-unicode", "Text is UTF-8, four bytes too, and may be any character.",
           dict(claims={"meta": {"größe": "🗝", "a\0": "\n"}}))
    accept("claims-meta-long-value", "A text whose length takes a byte of its own.",
           dict(claims={"meta": {"a": "b" * 24, "c": "d" * 23}}))


def claims_rejected():
    text = lambda value: bulla.cbor(value).hex()
    cidr, secret, meta = "3a00010000", "3a00010001", "3a00010002"
    aud, nbf, scope = "03", "05", "09"
    now = bulla.cbor(ISSUED).hex()
    wrong = {
        # What the map may hold
        "unknown-iss": ("Claim 1 is none of ours.", f"a1 01 {text('a')}"),
        "unknown-exp": ("Claim 4 is none of ours: the expiry stands elsewhere.", f"a1 04 {now}"),
        "unknown-next-private": ("A private claim that nobody has defined.", "a1 3a00010003 f5"),
        "unknown-like-meta": ("An unknown claim with what meta might hold.", f"a1 3a00010003 a1 {text('a')} {text('b')}"),
        "unknown-beside-known": ("An unknown claim beside a known one.", f"a2 03 {text('shop')} 07 41 00"),
        "unknown-text-key": ("A claim's name where its number should be.", f"a1 {text('aud')} {text('shop')}"),
        "empty-map": ("No claims is no bytes, not an empty map.", "a0"),
        "not-a-map-array": ("An array.", f"81 {text('shop')}"),
        "trailing-byte": ("A byte after the map.", f"a1 {nbf} {now} 00"),
        "truncated-map": ("A map of two with one entry.", f"a2 {nbf} {now}"),
        "truncated-text": ("A text cut short.", f"a1 {scope} 65 72656164"),
        "length-of-2-64": ("A text that says it has 2^64 - 1 bytes.", f"a1 {scope} 7b ffffffffffffffff 61"),
        "count-of-2-64": ("An array that says it has 2^64 - 1 entries.", f"a1 {aud} 9b ffffffffffffffff 6161"),
        # Deterministic encoding
        "order-of-keys": ("scope before aud.", f"a2 {scope} {text('read')} {aud} {text('shop')}"),
        "order-of-meta": ("\"aa\" before \"b\": alphabetical, but not the order of the encodings.",
                          f"a1 {meta} a2 {text('aa')} 6131 {text('b')} 6132"),
        "duplicate-key": ("The same claim twice.", f"a2 {scope} {text('read')} {scope} {text('write')}"),
        "duplicate-meta-key": ("The same meta key twice.", f"a1 {meta} a2 6161 6131 6161 6132"),
        "indefinite-map": ("A map of indefinite length.", f"bf {nbf} {now} ff"),
        "indefinite-array": ("An array of indefinite length.", f"a1 {aud} 9f {text('shop')} ff"),
        "indefinite-text": ("A text in pieces.", f"a1 {aud} 7f {text('sh')} {text('op')} ff"),
        "long-integer": ("nbf in eight bytes where four do.", f"a1 {nbf} 1b 000000006afd6ec0"),
        "long-small-integer": ("nbf 5 in two bytes.", f"a1 {nbf} 18 05"),
        "long-key": ("Key 3 in two bytes.", f"a1 18 03 {text('shop')}"),
        "long-text-length": ("The length of a text in two bytes where one does.", f"a1 {aud} 78 04 73686f70"),
        "long-array-count": ("The count of an array in two bytes.", f"a1 {aud} 98 01 {text('shop')}"),
        "long-map-count": ("The count of the map in two bytes.", f"b8 01 {nbf} {now}"),
        "reserved-length": ("Additional information 28 is reserved.", f"a1 {nbf} 1c"),
        "tagged-map": ("A tag before the map, the one that says it is CBOR.", f"d9d9f7 a1 {nbf} {now}"),
        "tagged-value": ("A tag before nbf.", f"a1 {nbf} c1 {now}"),
        "bignum": ("nbf as a bignum.", f"a1 {nbf} c2 41 01"),
        "float": ("nbf as a float.", f"a1 {nbf} fb 41dabf5bb0000000"),
        "utf-8-wrong": ("A byte that begins no UTF-8.", f"a1 {aud} 62 61ff"),
        "utf-8-overlong": ("An overlong form of NUL.", f"a1 {aud} 62 c080"),
        "utf-8-surrogate": ("A surrogate.", f"a1 {meta} a1 6161 63 eda080"),
        # Each claim
        "aud-empty-text": ("An empty audience.", f"a1 {aud} 60"),
        "aud-empty-array": ("No audience at all.", f"a1 {aud} 80"),
        "aud-empty-text-in-array": ("An empty audience among others.", f"a1 {aud} 82 {text('shop')} 60"),
        "aud-integer-in-array": ("A number among the audiences.", f"a1 {aud} 82 {text('shop')} 01"),
        "aud-deeply-nested": ("As many arrays in arrays as fit.", f"a1 {aud}" + "81" * 237 + "00"),
        "nbf-negative": ("A time before 1970.", f"a1 {nbf} 20"),
        "nbf-text": ("A time as text.", f"a1 {nbf} {text('1795000000')}"),
        "scope-empty": ("An empty scope.", f"a1 {scope} 60"),
        "scope-leading-space": ("A space in front.", f"a1 {scope} {text(' read')}"),
        "scope-trailing-space": ("A space at the end.", f"a1 {scope} {text('read ')}"),
        "scope-double-space": ("Two spaces between two names.", f"a1 {scope} {text('read  write')}"),
        "scope-array": ("Names in an array.", f"a1 {scope} 81 {text('read')}"),
        "cidr-empty": ("No address at all.", f"a1 {cidr} 80"),
        "cidr-not-an-array": ("One entry without its array.", f"a1 {cidr} 45 0a00000008"),
        "cidr-text": ("An entry as text, of five bytes like an entry.", f"a1 {cidr} 81 {text('1::/8')}"),
        "cidr-4-bytes": ("An address without a prefix length.", f"a1 {cidr} 81 44 0a000000"),
        "cidr-16-bytes": ("An IPv6 address without a prefix length.", f"a1 {cidr} 81 50 20010db8{'00' * 12}"),
        "cidr-no-bytes": ("An entry without bytes.", f"a1 {cidr} 81 40"),
        "cidr-prefix-33": ("A prefix longer than an IPv4 address.", f"a1 {cidr} 81 45 0a00000021"),
        "cidr-prefix-129": ("A prefix longer than an IPv6 address.", f"a1 {cidr} 81 51 20010db8{'00' * 12}81"),
        "cidr-host-bits": ("A bit set behind the prefix.", f"a1 {cidr} 81 45 0a00000108"),
        "cidr-host-bits-prefix-0": ("A bit set behind the prefix of length 0.", f"a1 {cidr} 81 45 0a00000000"),
        "cidr-host-bits-v6": ("A bit set behind an IPv6 prefix.", f"a1 {cidr} 81 51 20010db8{'00' * 11}0120"),
        "secret-false": ("No secret is no claim, not false.", f"a1 {secret} f4"),
        "secret-1": ("A number.", f"a1 {secret} 01"),
        "secret-long-true": ("true in two bytes.", f"a1 {secret} f8 15"),
        "meta-empty": ("An empty meta map.", f"a1 {meta} a0"),
        "meta-empty-key": ("An empty meta key.", f"a1 {meta} a1 60 6161"),
        "meta-empty-value": ("An empty meta value.", f"a1 {meta} a1 6161 60"),
        "meta-integer-key": ("A number as a meta key.", f"a1 {meta} a1 01 6161"),
        "meta-array": ("An array where the meta map should be.", f"a1 {meta} 82 6161 6162"),
        "meta-integer-value": ("A number as a meta value.", f"a1 {meta} a1 6161 01"),
    }
    for name, (why, encoded) in wrong.items():
        # With all that a caller can say, so that nothing but the claims is wrong.
        secret_half = SECRET_HALF if name.startswith("secret-") else None
        reject("claims", "claims-" + name, why, dict(claims=bytes.fromhex(encoded), secret=secret_half),
               audience="shop", ip="10.1.2.3")


def addresses():
    v4, v6 = {"cidr": ["10.0.0.0/8"]}, {"cidr": ["2001:db8::/32"]}
    both = {"cidr": ["192.0.2.7/32", "172.16.0.0/12", "2001:db8:1::/48"]}
    good = {
        "v4": ("Within.", v4, "10.255.255.255"),
        "v4-last-of-range": ("The last address of the range.", both, "172.31.255.255"),
        "v4-single": ("A prefix of 32.", both, "192.0.2.7"),
        "v4-mapped-client": ("An IPv4-mapped IPv6 address counts as its IPv4 address.", v4, "::ffff:10.1.2.3"),
        "v4-mapped-client-in-hex": ("The same, written in hexadecimal.", v4, "::ffff:a01:203"),
        "v6": ("Within.", v6, "2001:db8:ffff::1"),
        "v6-among-v4": ("The last entry takes it.", both, "2001:db8:1::1"),
    }
    for name, (why, claims, ip) in good.items():
        accept("address-" + name, why, dict(claims=claims), ip=ip)
    accept("address-given-but-not-wanted", "A key without the claim comes from anywhere.", ip="203.0.113.9")
    bad = {
        "not-given": ("The caller did not say the client's address.", v4, None),
        "v4-outside": ("Outside.", v4, "11.0.0.0"),
        "v4-just-above": ("The address after the range.", both, "172.32.0.0"),
        "v4-mapped-client-outside": ("The IPv4 address within counts, and is outside.", v4, "::ffff:11.1.2.3"),
        "v4-compatible-client": ("An IPv4-compatible address is not an IPv4-mapped one.", v4, "::10.1.2.3"),
        "v4-client-of-v6-entry": ("An IPv6 entry never takes an IPv4 client.", v6, "10.1.2.3"),
        "v4-client-of-v6-any": ("Not even the entry that takes all of IPv6.", {"cidr": ["::/0"]}, "10.1.2.3"),
        "v6-client-of-v4-any": ("An IPv4 entry never takes an IPv6 client.", {"cidr": ["0.0.0.0/0"]}, "2001:db8::1"),
        "v4-client-of-mapped-entry": ("Entries are compared as they stand, mapped ones too.",
                                      {"cidr": ["::ffff:0:0/96"]}, "10.1.2.3"),
        "mapped-client-of-mapped-entry": ("The client counts as IPv4 and the entry as IPv6.",
                                          {"cidr": ["::ffff:0:0/96"]}, "::ffff:10.1.2.3"),
    }
    for name, (why, claims, ip) in bad.items():
        reject("address", "address-" + name, why, dict(claims=claims), ip=ip)


def audiences():
    one, several = {"aud": "shop"}, {"aud": ["shop", "stock", "büro"]}
    accept("audience-text", "The one audience.", dict(claims=one), audience="shop")
    accept("audience-array-of-one", "An array may have one entry.", dict(claims={"aud": ["shop"]}), audience="shop")
    accept("audience-first-of-array", "Any entry will do.", dict(claims=several), audience="shop")
    accept("audience-last-of-array", "Any entry will do, and it may be any text.", dict(claims=several),
           audience="büro")
    accept("audience-repeated-entry", "An entry may stand twice; only map keys may not.",
           dict(claims={"aud": ["shop", "shop"]}), audience="shop")
    accept("audience-given-but-not-wanted", "A key without the claim is for any audience.", audience="shop")
    bad = {
        "not-given": ("The caller did not say its audience.", one, None),
        "other": ("Another audience.", one, "stock"),
        "case": ("Byte for byte, so upper case is another.", one, "Shop"),
        "beginning": ("The beginning of an audience is not the audience.", one, "sho"),
        "decomposed": ("The same letters in another normal form are other bytes.", several, "bu\u0308ro"),
    }
    for name, (why, claims, audience) in bad.items():
        reject("audience", "audience-" + name, why, dict(claims=claims), audience=audience)


def secrets():
    with_claim = dict(claims={"secret": True})
    could_not_tell("secret-any", "Without its hash no secret half is right or wrong.",
                   with_claim | dict(secret=bytes(32)))
    could_not_tell("secret-suite-2", "The same under suite 2.", with_claim | dict(suite=2))
    could_not_tell("secret-restrictions-met", "Address and audience are right, and still nobody knows.",
                   dict(claims={"secret": True, "aud": "shop", "cidr": ["10.0.0.0/8"]}), audience="shop", ip="10.1.2.3")
    could_not_tell("secret-before-scope", "The secret half goes before the scope, which is missing.",
                   dict(claims={"secret": True, "scope": "read"}), scopes=["write"])
    longest = claims_of(234) | {"secret": True}
    assert len(encode_claims(longest)) == 240
    key = dict(suite=2, realm="a" * 24, claims=longest)
    assert len(Key("", **key, secret=SECRET_HALF).text()) == 500
    could_not_tell("secret-longest", "The longest API key there is, 500 characters.", key, realms=["a" * 24],
                   audience="shop", ip="10.1.2.3")
    reject("secret_missing", "secret-missing", "The claim says that there is a secret half, and there is none.",
           with_claim)
    reject("secret_missing", "secret-cut-off", "The secret half of the third worked key was left away.",
           text=checked(WITH_SECRET[:WITH_SECRET.rindex("_")]))
    reject("secret_surplus", "secret-surplus", "A secret half, and no claim that says so.", dict(secret=SECRET_HALF))


def scopes():
    claims = dict(claims={"scope": "read orders:write admin"})
    accept("scope-none-wanted", "Nothing wanted, nothing missing.", claims)
    accept("scope-one-wanted", "One of the names.", claims, scopes=["orders:write"])
    accept("scope-all-wanted-in-another-order", "All of the names.", claims, scopes=["admin", "read", "orders:write"])
    bad = {
        "missing": ("Not among the names.", ["write"]),
        "one-of-two-missing": ("All that are wanted must be there.", ["read", "write"]),
        "case": ("Byte for byte.", ["Read"]),
        "beginning": ("The beginning of a name is not the name.", ["orders"]),
    }
    for name, (why, wanted) in bad.items():
        reject("scope", "scope-" + name, why, claims, scopes=wanted)
    reject("scope", "scope-without-the-claim", "A key without the claim has no scope.", scopes=["read"])
    reject("scope", "scope-tab", "Only a space parts two names; a tab is part of one.",
           dict(claims={"scope": "read\twrite"}), scopes=["read"])


def orders():
    """Two things wrong at once: the reason is the one that is looked at first."""
    why = "{} goes before {}."
    body = base62(PLAIN_BODY)
    outside = {"aud": "shop", "cidr": ["10.0.0.0/8"], "secret": True, "scope": "read"}
    reject("checksum", "order-checksum-before-shape", why.format("The checksum", "the realm's grammar"),
           text="ACME_" + body + "000000")
    reject("malformed", "order-body-before-realm", why.format("A body that cannot be", "a realm that is not accepted"),
           text=checked("acme_test_" + body + "0"))
    reject("malformed", "order-short-body-before-realm", why.format("A body shorter than any",
           "a realm that is not accepted"), text=write("acme_test", PLAIN_BODY[:-1]))
    reject("malformed", "order-long-body-before-realm", why.format("A body longer than any",
           "a realm that is not accepted"), text=write("acme_test", PLAIN_BODY + bytes(309 - len(PLAIN_BODY))))
    reject("malformed", "order-secret-before-realm", why.format("A secret half that cannot be",
           "a realm that is not accepted"), text=checked("acme_test_" + body + "_" + "z" * 44))
    reject("realm", "order-realm-before-version", why.format("The realm", "the version"),
           dict(realm="acme_test", version=9))
    reject("version_unknown", "order-version-before-seal", why.format("The version", "the seal"),
           text=write("acme_live", flipped(flipped(PLAIN_BODY, 3, 0x10), -1)))
    reject("version_refused", "order-version-before-length", why.format("A version that is refused",
           "a body too short for its suite"), versions=[version(7, 2, MASTER_7, "compromised")])
    reject("seal", "order-seal-before-secret", why.format("The seal", "the secret half"),
           text=checked("acme_live_" + base62(flipped(PLAIN_BODY, -1)) + "_" + base62(SECRET_HALF)))
    reject("claims", "order-claims-before-time", why.format("A malformed claim", "the expiry"),
           dict(claims=bytes.fromhex("a0"), expires_at=NOW))
    reject("expired", "order-time-before-address", why.format("The time", "the address"),
           dict(claims=outside, secret=SECRET_HALF, expires_at=NOW), audience="shop", ip="11.0.0.1")
    reject("address", "order-address-before-audience", why.format("The address", "the audience"),
           dict(claims=outside, secret=SECRET_HALF), audience="stock", ip="11.0.0.1")
    reject("audience", "order-audience-before-secret", why.format("The audience", "the secret half"),
           dict(claims=outside), audience="stock", ip="10.0.0.1")
    reject("secret_missing", "order-secret-before-scope", why.format("The secret half", "the scope"),
           dict(claims=outside), audience="shop", ip="10.0.0.1", scopes=["write"])
    reject("secret_surplus", "order-surplus-before-scope", why.format("A secret half too many", "the scope"),
           dict(secret=SECRET_HALF), scopes=["write"])


# -- Checking and writing -----------------------------------------------------------------------------------
def verdict(vector) -> dict:
    """What the reference verifier answers, by the road that any other program takes to it."""
    request = json.loads(json.dumps(vector | {"op": "verify"}))
    return bulla.answer(request)


def check_worked_examples():
    """The page and this program tell the same four stories."""
    pepper = bulla.pepper_key(KEYRING_ID, 1, bytes(range(0xC0, 0xE0)))
    third = WITH_SECRET.split("_")[2]
    h = bulla.secret_hash(pepper, SECRET_HALF, "acme_live", third)
    steps, salt = [pepper, h], bytes(range(0x40, 0x50))
    stored = [bulla.stored_hash(h, 1)] + [bulla.stored_hash(h, 1, s, salt) for s in ((65536, 3, 4), (19456, 2, 1))]
    for number, text in zip(range(4), WORKED_TEXTS, strict=True):
        key = Key("worked", **WORKED[number])
        issued = bulla.issue(KEYRING_ID, key.suite, key.version, key.master, key.realm, APP.bytes, key.issued_at,
                             key.expires_at, encode_claims(key.claims), key.nonce, key.secret)
        assert key.text() == issued == text, number
        steps += [key.plaintext(), key.body()[16 if key.suite == 1 else 28:-16], key.body()[-16:], key.body(),
                  bulla.seal_key(KEYRING_ID, key.suite, key.version, key.master, key.realm),
                  bulla.associated_data(key.suite, key.version, key.realm),
                  bulla.key_check_value(KEYRING_ID, key.version, key.master)]
    page = "".join(PAGE.read_text(encoding="utf-8").split())
    for step in [step.hex() for step in steps] + WORKED_TEXTS + stored:
        assert step in page, f"docs/FORMAT.md lacks {step}"


def main():
    for group in (worked, text_lengths, checksums, base62_groups, characters, structure, body_lengths, realms,
                  versions, seals, times, claims_accepted, claims_rejected, addresses, audiences, secrets, scopes, orders):
        group()
    check_worked_examples()
    for path, vector in cases.items():
        assert verdict(vector) == vector["expect"], (path, verdict(vector), vector["expect"])

    files = {VECTORS / path: json.dumps(vector, indent=2) + "\n" for path, vector in cases.items()}
    present = set(VECTORS.glob("*/*.json"))
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in files.items() if path not in present or path.read_text() != text]
        sys.exit(f"out of date: {stale}" if stale or present - set(files) else 0)
    for path in present - set(files):
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(files)} vectors")


if __name__ == "__main__":
    main()
