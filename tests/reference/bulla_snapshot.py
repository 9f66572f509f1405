"""Snapshots of the revocation feed, read and written after docs/FEED.md: what `bulla_feed.py` begins with in a long log."""
import hashlib

import bulla_feed as feed
from bulla_reference import from_base62

MAX_CHUNK = 1 << 20
RECORDS = {1: 12, 2: 12, 3: 20, 4: 4, 5: 16}
NUMBERS = ("seq", "this_update", "keyring_serial")


def read_manifest(manifest: bytes, keyring_id: bytes, public_key: bytes) -> dict:
    """The head, or Refused."""
    signed = feed.open_signed(manifest, keyring_id, public_key)
    lines = signed[:-1].split(b"\n")
    feed.require(len(lines) == 1, "too_many_events")
    head = feed.read_object(lines[0])
    feed.take(head, "bulla", lambda value: isinstance(value, str))
    feed.require(head["bulla"] == "snapshot/2", "format")
    fields = {"bulla", "keyring_id", "log_id", *NUMBERS, "versions", "live", "chunks"}
    feed.require(set(head) <= fields | {"realm"}, "unknown_field")
    feed.read_common(head, NUMBERS)
    feed.require("live" in head, "missing_field")
    feed.read_live(head["live"])
    chunks = lambda value: isinstance(value, list) and all(isinstance(chunk, dict) for chunk in value)
    feed.take(head, "chunks", chunks)
    for chunk in head["chunks"]:
        feed.require(set(chunk) <= {"bytes", "sha256"}, "unknown_field")
        feed.take(chunk, "bytes", lambda value: feed.is_number(value, 1, MAX_CHUNK))
        feed.take(chunk, "sha256", lambda value: feed.matches(r"[0-9a-f]{64}", value))
    feed.require(head["keyring_id"] == keyring_id.hex(), "other_keyring")
    return head


def name(head: dict) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(chunk["sha256"]) for chunk in head["chunks"])).hexdigest()


def read_body(head: dict, body: bytes) -> "feed.Log":
    """What the body says, or Refused."""
    log, at = feed.Log(), 0
    for chunk in head["chunks"]:
        part = body[at:at + chunk["bytes"]]
        feed.require(len(part) == chunk["bytes"] and hashlib.sha256(part).hexdigest() == chunk["sha256"], "chunk")
        read_chunk(part, head.get("realm"), log)
        at += len(part)
    feed.require(at == len(body), "chunk")
    destroyed = {version["version"] for version in head["versions"] if version["state"] == "destroyed"}
    feed.require(log.live(head["live"]["from"], destroyed) == head["live"], "live")
    return log


def read_chunk(chunk: bytes, only_realm, log):
    while chunk:
        feed.require(len(chunk) >= 2 and chunk[0] in RECORDS, "group")
        kind, length = chunk[0], chunk[1]
        realm, rest = chunk[2:2 + length], chunk[2 + length:]
        feed.require(len(realm) == length and len(rest) >= 10, "group")
        try:
            realm = realm.decode()
        except UnicodeDecodeError:
            raise feed.Refused("group") from None
        feed.require(feed.is_realm(realm) or (kind == 3 and realm == ""), "group")
        feed.require(only_realm in (None, realm) or (kind == 3 and realm == ""), "group")
        version, day, count = rest[:4], int.from_bytes(rest[4:6], "big"), int.from_bytes(rest[6:10], "big")
        feed.require(kind not in (3, 4) or (version == bytes(4) and day == 0), "group")
        records, chunk = rest[10:10 + count * RECORDS[kind]], rest[10 + count * RECORDS[kind]:]
        feed.require(len(records) == count * RECORDS[kind], "group")
        for at in range(0, len(records), RECORDS[kind]):
            add(log, kind, realm, version, min((day + 1) * feed.DAY - 1, feed.NEVER), records[at:at + RECORDS[kind]])


def add(log, kind, realm, version, expiry, record):
    last = int.from_bytes(record[-4:], "big")
    if kind == 3:
        table, key, value = log.apps, (feed.uuid_text(record[:16]), realm or None), last
    elif kind == 4:
        table, key, value = log.realms, realm, last
    else:
        key = f"{realm}_{feed.to_base62(version + record[:12])}"
        table, value = (log.suspended, expiry) if kind == 2 else (log.revoked, (expiry, last if kind == 5 else 0))
    # Twice it would count twice.
    feed.require(key not in table, "live")
    table[key] = value


def load(follower, manifest: bytes, body: bytes, now: int):
    """Goes to the place of a snapshot, or Refused, and then nothing changed."""
    head = read_manifest(manifest, follower.keyring_id, follower.public_key)
    feed.require(head.get("realm") == follower.realm, "other_realm")
    feed.require(follower.log_id in (None, head["log_id"]), "other_log")
    feed.require(head["seq"] >= follower.seq, "not_next")
    feed.require(head["this_update"] <= now + feed.SKEW, "future")
    log = read_body(head, body)
    follower.load(head, log)


def write_body(groups) -> list:
    """Chunks of these groups: (kind, realm, version, day, records), one chunk for each inner list."""
    def write(kind, realm, version, day, records):
        return (bytes([kind, len(realm)]) + realm.encode() + version.to_bytes(4, "big") + day.to_bytes(2, "big")
                + len(records).to_bytes(4, "big") + b"".join(records))
    return [b"".join(write(*group) for group in chunk) for chunk in groups]


def id_record(api_key_id: str) -> bytes:
    return from_base62(api_key_id.rpartition("_")[2])[4:]
