"""A second implementation of the revocation feed's follower, written from docs/FEED.md.

It is there to be compared with, not to be put into production: it forgets no expired key and starts from
nothing each time. It needs the package `cryptography`.

It reads both formats. With `follow` and a long log it begins with a snapshot (`bulla_snapshot.py`).

    bulla_feed.py read   --keyring-id HEX --public-key BASE64 [--realm R] [--now T] [FILE | -]…
    bulla_feed.py follow --keyring-id HEX --public-key BASE64 [--realm R] [--api-key-file F] [--stream]
                         [--more N] [--wait 25s] URL

`read` takes messages from files or standard input, one behind the other, as they came. `follow` asks a
server, such as http://127.0.0.1:8181/v1/revocations, until it has everything, and then for N messages more;
its API key is in a file, or in BULLA_FEED_API_KEY. Both print the state as one JSON object and exit with 0; a
message that is refused adds `"refused": REASON` and exits with 1; no answer exits with 2.
"""
import argparse
import base64
import hashlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bulla_reference import REALM, from_base62
from bulla_reference import base62 as to_base62
from bulla_reference import Refused as NotBase62

MAX_BYTES, MAX_EVENTS = 4 << 20, 10_000
MAX_NUMBER, MAX_U32 = 2**53 - 1, 2**32 - 1
FORMATS, DAY, NEVER = ("feed/1", "feed/2"), 86400, 2**32 - 1
SKEW = 300  # seconds by which two clocks may be apart
STATES = ("staged", "active", "deactivated", "compromised", "destroyed")
REFUSED_STATES = ("compromised", "destroyed")
SIGNATURE_LINE = re.compile(rb'\{"signature":"([0-9A-Za-z+/]{86}==)"\}\n')
KINDS = ("revoke", "suspend", "resume", "revoke_app", "revoke_realm")
NUMBERS = ("after", "seq", "head", "this_update", "next_update", "keyring_serial")


class Refused(Exception):
    pass


def require(condition, reason):
    if not condition:
        raise Refused(reason)


# -- A message ----------------------------------------------------------------------------------------------
def open_signed(message: bytes, keyring_id: bytes, public_key: bytes) -> bytes:
    """The signed bytes, or Refused."""
    require(len(message) <= MAX_BYTES, "too_long")
    start = message.rfind(b"\n", 0, -1) + 1
    signed, last = message[:start], SIGNATURE_LINE.fullmatch(message[start:])
    require(signed and last, "unsigned")
    signature = base64.b64decode(last[1])
    require(base64.b64encode(signature) == last[1], "unsigned")
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, b"bulla/v1 feed\0" + keyring_id + signed)
    except InvalidSignature:
        raise Refused("signature") from None
    return signed


def read_message(message: bytes, keyring_id: bytes, public_key: bytes):
    """(head, events) as dictionaries, or Refused."""
    signed = open_signed(message, keyring_id, public_key)
    lines = signed[:-1].split(b"\n")
    head = read_head(read_object(lines[0]))
    require(len(lines) - 1 <= MAX_EVENTS, "too_many_events")
    events = [read_event(read_object(line)) for line in lines[1:]]
    before = 0
    for event in events:
        require(event["seq"] > before, "event_order")
        require(head["after"] < event["seq"] <= head["seq"], "event_outside")
        require("realm" not in head or concerns(event, head["realm"]), "event_realm")
        before = event["seq"]
    require(head["keyring_id"] == keyring_id.hex(), "other_keyring")
    return head, events


def read_object(line: bytes) -> dict:
    def pairs(members):
        require(len({name for name, _ in members}) == len(members), "duplicate_field")
        return dict(members)

    def integer(text):
        # Longer ones, and the one with a sign, are no numbers of this format; they are no bad JSON either.
        return int(text) if len(text) <= 16 and text[0] != "-" else float("nan")

    def constant(text):
        raise ValueError(text)

    require(line[:1] == b"{" and line[-1:] == b"}", "not_an_object")
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=pairs, parse_int=integer, parse_constant=constant)
    except (ValueError, RecursionError):
        raise Refused("not_an_object") from None


def read_head(head: dict) -> dict:
    take(head, "bulla", lambda value: isinstance(value, str))
    require(head["bulla"] in FORMATS, "format")
    fields = {"bulla", "keyring_id", "log_id", *NUMBERS, "versions"}
    with_live = {"live"} if head["bulla"] != "feed/1" and head.get("seq") == head.get("head") else set()
    require(set(head) <= fields | {"realm"} | with_live, "unknown_field")
    read_common(head, NUMBERS)
    if "live" in head:
        read_live(head["live"])
    require(head["after"] <= head["seq"] <= head["head"], "range")
    require(head["this_update"] <= head["next_update"], "times")
    return head


def read_common(head: dict, numbers):
    """What the heads of messages and snapshots have in common."""
    for field in ("keyring_id", "log_id"):
        take(head, field, lambda value: matches(r"[0-9a-f]{32}", value))
    for field in numbers:
        take(head, field, is_number)
    take(head, "realm", is_realm, optional=True)
    take(head, "versions", lambda value: isinstance(value, list) and all(isinstance(v, dict) for v in value))
    for version in head["versions"]:
        require(set(version) <= {"version", "state"}, "unknown_field")
        take(version, "version", lambda value: is_number(value, 1, MAX_U32))
        take(version, "state", lambda value: isinstance(value, str) and value in STATES)
    order = [version["version"] for version in head["versions"]]
    require(order == sorted(set(order)), "version_order")


def read_live(live):
    require(isinstance(live, dict), "wrong_value")
    require(set(live) <= {"from", "count", "digest"}, "unknown_field")
    take(live, "from", lambda value: is_number(value) and value % DAY == 0)
    take(live, "count", is_number)
    take(live, "digest", lambda value: matches(r"[0-9a-f]{32}", value))


def read_event(event: dict) -> dict:
    kinds = [kind for kind in KINDS if kind in event]
    require(len(kinds) == 1, "unknown_event")
    kind = kinds[0]
    optional = {"revoke": {"expires_at", "effective_at"}, "suspend": {"expires_at"}, "revoke_app": {"realm"}}
    optional = optional.get(kind, set())
    needed = {"seq", kind} | ({"issued_before"} if kind in ("revoke_app", "revoke_realm") else set())
    require(set(event) <= needed | optional, "unknown_field")
    take(event, "seq", lambda value: is_number(value, 1))
    take(event, kind, {"revoke_app": is_uuid, "revoke_realm": is_realm}.get(kind, is_id))
    take(event, "expires_at", lambda value: is_number(value, 1, MAX_U32), optional=True)
    take(event, "effective_at", lambda value: is_number(value, 0, MAX_U32), optional=True)
    take(event, "realm", is_realm, optional=True)
    take(event, "issued_before", lambda value: is_number(value, 0, MAX_U32), optional="issued_before" not in needed)
    return event


def take(fields, field, is_right, optional=False):
    require(optional or field in fields, "missing_field")
    require(field not in fields or is_right(fields[field]), "wrong_value")


def is_number(value, least=0, most=MAX_NUMBER):
    return type(value) is int and least <= value <= most

def matches(pattern, value):
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None

def is_uuid(value):
    return matches(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)

def is_realm(value):
    return isinstance(value, str) and REALM.match(value) is not None

def is_id(value):
    realm, _, body = value.rpartition("_") if isinstance(value, str) else ("", "", "")
    try:
        return is_realm(realm) and len(body) == 22 and len(from_base62(body)) == 16
    except NotBase62:
        return False

def uuid_text(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))

def realm_of(api_key_id):
    return api_key_id.rpartition("_")[0]

def version_of(api_key_id):
    return int.from_bytes(from_base62(api_key_id.rpartition("_")[2])[:4], "big")

def concerns(event, realm):
    if "revoke_app" in event:
        return event.get("realm", realm) == realm
    if "revoke_realm" in event:
        return event["revoke_realm"] == realm
    return realm_of(next(event[kind] for kind in KINDS if kind in event)) == realm


# -- What a log says ----------------------------------------------------------------------------------------
class Log:
    """Every entry since the log's beginning, whatever the follower knew before: what the live set is of."""

    def __init__(self):
        self.revoked, self.suspended, self.resumed = {}, {}, set()  # revoked: id to (expiry, when)
        self.apps, self.realms = {}, {}

    def take_in(self, event):
        expiry = event.get("expires_at", NEVER)
        if "revoke" in event:
            known, at = self.revoked.get(event["revoke"], (0, event.get("effective_at", 0)))
            self.revoked[event["revoke"]] = max(known, expiry), min(at, event.get("effective_at", 0))
        elif "suspend" in event:
            self.suspended[event["suspend"]] = max(self.suspended.get(event["suspend"], 0), expiry)
            self.resumed.discard(event["suspend"])
        elif "resume" in event:
            self.resumed.add(event["resume"])
        elif "revoke_app" in event:
            later(self.apps, (event["revoke_app"], event.get("realm")), event["issued_before"])
        else:
            later(self.realms, event["revoke_realm"], event["issued_before"])

    def live(self, day: int, destroyed) -> dict:
        """At the end of the log, where what is resumed is not suspended any more."""
        ids = [(1, i, expiry) for i, (expiry, _) in self.revoked.items()]
        ids += [(2, i, expiry) for i, expiry in self.suspended.items() if i not in self.resumed]
        hashed = [bytes([kind]) + from_base62(i.rpartition("_")[2]) + realm_of(i).encode() for kind, i, expiry in ids
                  if expiry >= day and version_of(i) not in destroyed]
        hashed += [b"\3" + uuid.UUID(app).bytes + before.to_bytes(4, "big") + (realm or "").encode()
                   for (app, realm), before in self.apps.items() if before]
        hashed += [b"\4" + before.to_bytes(4, "big") + realm.encode() for realm, before in self.realms.items() if before]
        total = sum(int.from_bytes(hashlib.sha256(entry).digest()[:16], "big") for entry in hashed)
        return {"from": day, "count": len(hashed), "digest": f"{total % 2**128:032x}"}

    def put_in_force(self, follower):
        follower.revoked = {i: at for i, (_, at) in self.revoked.items()}
        follower.suspended = {i: True for i in self.suspended if i not in self.resumed}
        follower.apps, follower.realms = dict(self.apps), dict(self.realms)


def later(rules, key, before):
    rules[key] = max(rules.get(key, 0), before)


# -- A follower ---------------------------------------------------------------------------------------------
class Follower:
    def __init__(self, keyring_id: bytes, public_key: bytes, realm=None):
        self.keyring_id, self.public_key, self.realm = keyring_id, public_key, realm
        self.log_id, self.seq, self.end = None, 0, 0
        self.this_update, self.fresh_until, self.fresh_by = 0, None, 0
        self.keyring_serial, self.versions, self.refused = 0, [], set()
        self.revoked, self.suspended, self.resumed = {}, {}, set()  # id to when; id to its key's expiry
        self.expiry = {}  # of revoked ids
        self.apps, self.realms = {}, {}  # (app, realm or None) and realm, to the first second that is good
        self.log = Log()
        self.diverged, self.has_diverged = 0, False
        # Where it started again, while what it knew was of one log; or whether it was of several.
        self.restarted_from, self.is_mixed = None, False

    def apply(self, message: bytes, now: int) -> bool:
        """Takes in a message. Whether everything is known now that there was when it was signed."""
        head, events = read_message(message, self.keyring_id, self.public_key)
        require(head.get("realm") == self.realm, "other_realm")
        # What was noted while two clocks were ahead says nothing about the order of messages.
        ahead = self.this_update > now + SKEW
        if self.log_id not in (None, head["log_id"]):
            # A log that ended long ago must not have a follower begin again.
            raise Refused("other_log" if ahead or head["this_update"] >= self.this_update else "older")
        require(head["after"] == self.seq, "not_next")
        require(ahead or head["this_update"] + SKEW >= self.this_update, "older")
        require(head["this_update"] <= now + SKEW, "future")

        self.has_diverged, self.format = False, head["bulla"]
        self.log_id, self.seq, self.end = head["log_id"], head["seq"], max(self.end, head["head"])
        for event in events:
            self.take_in(event)
            self.log.take_in(event)
        if self.is_complete():
            for api_key_id in self.resumed:
                self.suspended.pop(api_key_id, None)
            self.resumed = set()
        self.note_time(head, now, ahead)
        self.note_versions(head)
        if self.is_complete() and "live" in head:
            self.compare(head, now)
        return self.is_complete()

    def note_time(self, head, now, ahead):
        complete, this_update = self.is_complete(), head["this_update"]
        if complete and (self.fresh_until is None or this_update > self.fresh_by or self.fresh_by > now + SKEW):
            validity, late = head["next_update"] - this_update, max(0, now - this_update - SKEW)
            self.fresh_until, self.fresh_by = max(now - 1, now + validity - late), this_update
        elif ahead and not complete:
            self.fresh_until = None
        if ahead or this_update >= self.this_update:
            self.this_update = this_update

    def compare(self, head, now):
        """Whether the follower has diverged: then it starts again."""
        destroyed = {version["version"] for version in head["versions"] if version["state"] == "destroyed"}
        ours = self.log.live(head["live"]["from"], destroyed)
        self.has_diverged = ours != head["live"]
        if not self.has_diverged and self.restarted_from and self.restarted_from[0] == self.log_id:
            if self.restarted_from[1] <= self.seq:
                if not self.knows_more(head["live"]["from"], destroyed, now):
                    self.log.put_in_force(self)
                self.restarted_from = None
        self.diverged += self.has_diverged

    def knows_more(self, day, destroyed, now) -> bool:
        """Whether the log that was read again has lost a revocation."""
        def is_lost(api_key_id, at):
            said = self.log.revoked.get(api_key_id, (0, NEVER + 1))[1]
            counts = self.expiry.get(api_key_id, NEVER) >= day and version_of(api_key_id) not in destroyed
            return counts and said > max(at, now)
        return (any(is_lost(i, at) for i, at in self.revoked.items())
                or any(before > self.log.apps.get(key, 0) for key, before in self.apps.items())
                or any(before > self.log.realms.get(key, 0) for key, before in self.realms.items()))

    def take_in(self, event):
        if "revoke" in event:
            effective_at = event.get("effective_at", 0)
            expires_at = event.get("expires_at", NEVER)
            self.expiry[event["revoke"]] = max(self.expiry.get(event["revoke"], 0), expires_at)
            self.revoked[event["revoke"]] = min(self.revoked.get(event["revoke"], effective_at), effective_at)
        elif "suspend" in event:
            self.suspended[event["suspend"]] = True
            self.resumed.discard(event["suspend"])
        elif "resume" in event:
            self.resumed.add(event["resume"])
        elif "revoke_app" in event:
            later(self.apps, (event["revoke_app"], event.get("realm")), event["issued_before"])
        else:
            later(self.realms, event["revoke_realm"], event["issued_before"])

    def load(self, head, log):
        """Goes to the place of a snapshot. What was known before a restart stays in force."""
        if self.restarted_from is None and not self.is_mixed:
            self.revoked, self.suspended, self.apps, self.realms = {}, {}, {}, {}
        for api_key_id, (expiry, at) in log.revoked.items():
            self.expiry[api_key_id] = max(self.expiry.get(api_key_id, 0), expiry)
            self.revoked[api_key_id] = min(self.revoked.get(api_key_id, at), at)
        self.suspended |= {api_key_id: True for api_key_id in log.suspended}
        for rules, more in ((self.apps, log.apps), (self.realms, log.realms)):
            for key, before in more.items():
                later(rules, key, before)
        self.log, self.log_id, self.seq, self.end = log, head["log_id"], head["seq"], max(self.end, head["seq"])
        self.note_versions(head)

    def note_versions(self, head):
        if head["keyring_serial"] >= self.keyring_serial:
            self.keyring_serial, self.versions = head["keyring_serial"], head["versions"]
        self.refused |= {v["version"] for v in head["versions"] if v["state"] in REFUSED_STATES}

    def restart(self):
        """Before starting again from 0 after "other_log", or where it diverged."""
        if self.log_id is not None:
            # What is known of two logs is not given up.
            mixed = bool(self.restarted_from) and self.restarted_from[0] != self.log_id
            place = max(self.seq, self.restarted_from[1] if self.restarted_from else 0)
            self.is_mixed = self.is_mixed or mixed
            self.restarted_from = None if self.is_mixed else (self.log_id, place)
        self.log_id, self.seq, self.end, self.resumed = None, 0, 0, set()
        self.log, self.has_diverged = Log(), False

    def is_complete(self) -> bool:
        return self.log_id is not None and self.seq == self.end

    def is_stale(self, now) -> bool:
        """By a clock that is never set; this follower has none, and takes the one that everyone has."""
        return self.fresh_until is None or now > self.fresh_until or self.this_update > now + SKEW

    def is_taken_back(self, api_key_id, app_id, issued_at, now) -> bool:
        realm = realm_of(api_key_id)
        rules = [self.apps.get((app_id, None), 0), self.apps.get((app_id, realm), 0), self.realms.get(realm, 0)]
        return (api_key_id in self.revoked and self.revoked[api_key_id] <= now or api_key_id in self.suspended
                or issued_at < max(rules))

    def is_version_refused(self, api_key_id) -> bool:
        return version_of(api_key_id) in self.refused

    def state(self) -> dict:
        return {
            "log_id": self.log_id, "seq": self.seq, "complete": self.is_complete(),
            "this_update": self.this_update, "fresh_until": self.fresh_until, "diverged": self.diverged,
            "keyring_serial": self.keyring_serial, "versions": self.versions, "refused_versions": sorted(self.refused),
            "revoked": [{"id": i, "effective_at": at or None} for i, at in sorted(self.revoked.items())],
            "suspended": sorted(self.suspended),
            "apps": [{"app_id": app, "realm": realm, "issued_before": before}
                     for (app, realm), before in sorted(self.apps.items(), key=str)],
            "realms": [{"realm": realm, "issued_before": before} for realm, before in sorted(self.realms.items())],
        }


# -- Where messages come from -------------------------------------------------------------------------------
def split_messages(stream: bytes):
    """Each message of several that stand one behind the other; what is left over counts as one, too."""
    start = 0
    for end in SIGNATURE_LINE.finditer(stream):
        if stream[end.start() - 1:end.start()] == b"\n":
            yield stream[start:end.end()]
            start = end.end()
    if start < len(stream):
        yield stream[start:]


ACCEPT = ", ".join(f"application/vnd.bulla.feed+ndjson;version={version}" for version in (2, 1))


def get(url, api_key, **headers):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {api_key}"} | headers)
    return urllib.request.urlopen(request, timeout=90)


def open_feed(url, api_key, after, wait=None, stream=False):
    query = {"after": after} | ({"wait": wait} if wait else {})
    more = {"Accept": "text/event-stream;version=2"} if stream else {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
    return get(f"{url}?{urllib.parse.urlencode(query)}", api_key, **more)


def fetch_snapshot(follower, url, api_key):
    """Goes to the place of the newest snapshot, or Refused, or OSError."""
    import bulla_snapshot
    with get(f"{url}/snapshot", api_key) as response:
        manifest = response.read(MAX_BYTES + 1)
    head = bulla_snapshot.read_manifest(manifest, follower.keyring_id, follower.public_key)
    with get(f"{url}/snapshots/{bulla_snapshot.name(head)}", api_key) as response:
        body = response.read()
    bulla_snapshot.load(follower, manifest, body, int(time.time()))


def fetch(url, api_key, after, wait=None) -> bytes:
    with open_feed(url, api_key, after, wait) as response:
        body = response.read(MAX_BYTES + 1)
        if response.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompressobj(31).decompress(body, MAX_BYTES + 1)
        return body


def stream_messages(url, api_key, after):
    """The messages of server-sent events. Their numbers are for reconnecting, which this does not do."""
    with open_feed(url, api_key, after, stream=True) as response:
        message, size = [], 0
        for line in response:
            line = line.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                message.append(line[5:].removeprefix(b" "))
                size += len(message[-1]) + 1
                require(size <= MAX_BYTES, "too_long")
            elif not line and message:
                yield b"".join(part + b"\n" for part in message)
                message, size = [], 0


def follow(follower, url, api_key, more, wait, stream):
    if stream:
        for message in stream_messages(url, api_key, follower.seq):
            if follower.apply(message, int(time.time())):
                if more == 0:
                    return
                more -= 1
        raise OSError("the stream ended")
    restarted = False
    while True:
        before = follower.seq
        message = fetch(url, api_key, before, wait if follower.is_complete() else None)
        try:
            complete = follower.apply(message, int(time.time()))
        except Refused as refused:
            if str(refused) != "other_log" or restarted:
                raise
            follower.restart()
            restarted = True
            continue
        if follower.has_diverged and not restarted:
            follower.restart()
            restarted = True
            continue
        if before == 0 and not complete and follower.format == "feed/2":
            try:
                fetch_snapshot(follower, url, api_key)
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                # This server has none, or not any more: the log says the same.
            continue
        if complete:
            if more == 0:
                return
            more -= 1
        elif follower.seq == before:
            time.sleep(1)  # the end is known to be farther, and this node does not know it yet


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    read, live = commands.add_parser("read"), commands.add_parser("follow")
    for command in (read, live):
        command.add_argument("--keyring-id", type=bytes.fromhex, required=True)
        command.add_argument("--public-key", type=lambda text: base64.b64decode(text, validate=True), required=True)
        command.add_argument("--realm")
    read.add_argument("--now", type=int, default=int(time.time()))
    read.add_argument("files", nargs="*", default=["-"])
    live.add_argument("--api-key-file")
    live.add_argument("--stream", action="store_true")
    live.add_argument("--more", type=int, default=0)
    live.add_argument("--wait", default="25s")
    live.add_argument("url")
    chosen = options.parse_args()

    follower, refused = Follower(chosen.keyring_id, chosen.public_key, chosen.realm), None
    try:
        if chosen.command == "read":
            for file in chosen.files:
                stream = sys.stdin.buffer.read() if file == "-" else open(file, "rb").read()
                for message in split_messages(stream):
                    follower.apply(message, chosen.now)
        else:
            file = chosen.api_key_file
            api_key = open(file).read().strip() if file else os.environ["BULLA_FEED_API_KEY"]
            follow(follower, chosen.url, api_key, chosen.more, chosen.wait, chosen.stream)
    except Refused as error:
        refused = {"refused": str(error)}
    except (OSError, KeyError) as error:
        print(f"bulla_feed.py: {error!r}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(follower.state() | (refused or {})))
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
