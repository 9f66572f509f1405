"""Writes tests/vectors-feed: what a follower of the revocation feed makes of some messages, one case per file, the
same bytes at every run.

Each file has messages in their order, and of each whether it is refused and why. The verdicts stand here, case by
case; the reference follower only has to agree with them, or nothing is written. What the state comes to besides is the
reference's word, for others to be compared with. With --check nothing is written either, and the files must be there
as they are.
"""
import base64
import hashlib
import json
import pathlib
import sys
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import bulla_feed as feed
import bulla_snapshot

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors-feed"
PAGE = HERE.parent.parent / "docs" / "FEED.md"

KEYRING_ID, OTHER_KEYRING = bytes(range(0xA0, 0xB0)), bytes(range(0xB0, 0xC0))
SEED, OTHER_SEED = bytes(range(0x20)), bytes(range(0x40, 0x60))
LOG, OTHER_LOG = bytes(range(0xE0, 0xF0)).hex(), bytes(range(0xD0, 0xE0)).hex()
PUBLIC_KEY = base64.b64encode(Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()).decode()
LABEL = b"bulla/v1 feed\0"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
T = 1800000000
DAY = 86400
ISSUED = 1795000000
APP, OTHER_APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab", "3f2b8c1e-9a7d-4d52-8a55-0123456789ac"
# The API-key ids of FORMAT.md's worked examples; and others, in other realms.
ONE, TWO, THREE = ("acme_live_00000" + rest for rest in
                   ("XzbyFf5rOyRXQyt8V", "YHqiQd7Eu4eUpRFdL", "YsKCmZ9zuH4PcLyd1"))
EIGHT = "acme_live_00000cgHDRj5rOyRXQyt8V"
TEST, SHORT = "acme_test_00000XzbyFf5rOyRXQyt8V", "acme_00000XzbyFf5rOyRXQyt8V"
VERSIONS = [{"version": 7, "state": "active"}, {"version": 8, "state": "staged"}]
MAX = 2**53 - 1

cases = {}


# -- Messages -----------------------------------------------------------------------------------------------
def head(**changes) -> dict:
    """A head; None takes a field out."""
    fields = {"bulla": "feed/1", "keyring_id": KEYRING_ID.hex(), "log_id": LOG, "realm": None, "after": 0, "seq": 0,
              "head": None, "this_update": T, "next_update": T + 60, "keyring_serial": 3, "versions": VERSIONS}
    fields |= changes
    fields["head"] = fields["seq"] if "head" not in changes else fields["head"]
    return {name: value for name, value in fields.items() if value is not None}


def line(value) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


def signature(signed, seed=SEED, prefix=LABEL + KEYRING_ID) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(prefix + signed)


def with_signature(signed: bytes, raw: bytes) -> bytes:
    return signed + b'{"signature":"' + base64.b64encode(raw) + b'"}\n'


def sign(signed: bytes, **how) -> bytes:
    return with_signature(signed, signature(signed, **how))


def message(*events, **changes) -> bytes:
    """Signed; `after` and `seq` come from the events unless they are given."""
    numbers = [event["seq"] for event in events if isinstance(event, dict) and type(event.get("seq")) is int]
    changes.setdefault("after", 0)
    changes.setdefault("seq", max(numbers + [changes["after"]]))
    return lines(head(**changes), *events)


def lines(*values) -> bytes:
    return sign(b"".join(line(value) + b"\n" for value in values))


def revoke(seq, api_key_id, **more) -> dict:
    return {"seq": seq, "revoke": api_key_id, **more}

def suspend(seq, api_key_id, **more) -> dict:
    return {"seq": seq, "suspend": api_key_id, **more}

def resume(seq, api_key_id) -> dict:
    return {"seq": seq, "resume": api_key_id}


def live(*entries, day=T // DAY * DAY) -> dict:
    """The live set of these entries, each as the bytes that are hashed."""
    total = sum(int.from_bytes(hashlib.sha256(entry).digest()[:16], "big") for entry in entries)
    return {"from": day, "count": len(entries), "digest": f"{total % 2**128:032x}"}


def one_id(kind, api_key_id) -> bytes:
    realm, _, body = api_key_id.rpartition("_")
    return bytes([kind]) + feed.from_base62(body) + realm.encode()


# What nearly every refused message comes after, so that there is something to be kept.
FIRST = message(revoke(9, ONE), suspend(12, TWO))
NEXT = dict(after=12)


# -- Cases --------------------------------------------------------------------------------------------------
RESTART, DIVERGED = "restart", "diverged"


def case(path, why, steps, asks=(), realm=None):
    """steps: RESTART, or (message, now, what is expected of it: True for complete, False for more to come, DIVERGED, or
    the reason why it is refused), or (manifest, body, now, None or the reason why it is refused). asks: (id, at, whether it is revoked) and perhaps the app and the time of issue."""
    follower = feed.Follower(KEYRING_ID, base64.b64decode(PUBLIC_KEY), realm)
    written = []
    for step in steps:
        if step == RESTART:
            follower.restart()
            written.append({"restart": True})
            continue
        if len(step) == 4:
            written.append(load(follower, path, *step))
            continue
        raw, now, expected = step
        before = json.dumps(follower.state())
        try:
            outcome = follower.apply(raw, now)
            outcome = DIVERGED if follower.has_diverged else outcome
        except feed.Refused as refused:
            outcome = str(refused)
            assert json.dumps(follower.state()) == before, path
        assert outcome == expected and type(outcome) is type(expected), (path, outcome, expected)
        try:
            text = {"message": raw.decode()}
        except UnicodeDecodeError:
            text = {"message_base64": base64.b64encode(raw).decode()}
        if outcome == DIVERGED:
            verdict = {"refused": None, "complete": True, "diverged": True}
        else:
            verdict = {"refused": outcome} if isinstance(outcome, str) else {"refused": None, "complete": outcome}
        written.append({"now": now, **text, "expect": verdict})
    asked = []
    for api_key_id, at, expected, *of in asks:
        app_id, issued_at = of or (APP, ISSUED)
        assert follower.is_taken_back(api_key_id, app_id, issued_at, at) == expected, (path, api_key_id, at)
        asked.append({"id": api_key_id, "app_id": app_id, "issued_at": issued_at, "at": at, "taken_back": expected})
    assert [ask["at"] for ask in asked] == sorted(ask["at"] for ask in asked), path
    state = follower.state()
    fields = ("log_id", "seq", "this_update", "fresh_until", "keyring_serial", "versions", "refused_versions")
    assert path not in cases, path
    cases[path] = {"why": why, "keyring_id": KEYRING_ID.hex(), "public_key": PUBLIC_KEY, "realm": realm,
                   "steps": written,
                   "expect": {field: state[field] for field in fields}, "asks": asked}


def load(follower, path, manifest, body, now, expected):
    before, outcome = json.dumps(follower.state()), None
    try:
        bulla_snapshot.load(follower, manifest, body, now)
    except feed.Refused as refused:
        outcome = str(refused)
        assert json.dumps(follower.state()) == before, path
    assert outcome == expected, (path, outcome, expected)
    return {"now": now, "manifest": manifest.decode(), "body_base64": base64.b64encode(body).decode(),
            "expect": {"refused": outcome}}


def accept(name, why, steps, asks=(), **more):
    case(f"accepted/{name}.json", why, steps, asks, **more)


def refuse(reason, name, why, bad: bytes, now=T, realm=None):
    """The message comes after a good one, of which everything still counts."""
    first = FIRST if realm is None else message(revoke(9, ONE), suspend(12, TWO), realm=realm)
    case(f"refused/{name}.json", why, [(first, T, True), (bad, now, reason)],
         [(ONE, T, True), (TWO, T, True), (THREE, T, False)], realm=realm)


# The three of the page.
WORKED_1 = message(revoke(2, ONE, expires_at=1826536000), revoke(5, TWO, effective_at=T + 3600), suspend(6, THREE),
                   {"seq": 9, "revoke_app": OTHER_APP, "issued_before": T},
                   {"seq": 10, "revoke_app": APP, "realm": "acme_test", "issued_before": T},
                   {"seq": 11, "revoke_realm": "acme", "issued_before": T + 1}, head=14)
WORKED_2 = message(resume(13, THREE), after=11, seq=14, keyring_serial=4, this_update=T + 1, next_update=T + 61,
                   versions=[{"version": 7, "state": "compromised"}, {"version": 8, "state": "active"}])
WORKED_3 = message(revoke(2, ONE, expires_at=1826536000), revoke(5, TWO, effective_at=T + 3600),
                   {"seq": 9, "revoke_app": OTHER_APP, "issued_before": T}, resume(13, THREE), realm="acme_live",
                   seq=14,
                   keyring_serial=4, this_update=T + 1, next_update=T + 61,
                   versions=[{"version": 7, "state": "compromised"}, {"version": 8, "state": "active"}])


# Of the third again, in format 2: of the ids one is revoked and one waits, and one rule is of every realm.
WORKED_4 = message(bulla="feed/2", realm="acme_live", after=14, keyring_serial=4, this_update=T + 2, next_update=T + 62,
                   live=live(one_id(1, ONE), one_id(1, TWO),
                             b"\3" + uuid.UUID(OTHER_APP).bytes + T.to_bytes(4, "big")),
                   versions=[{"version": 7, "state": "compromised"}, {"version": 8, "state": "active"}])


def worked():
    steps = [(WORKED_1, T, False), (WORKED_2, T + 1, True)]
    accept("worked-1-2", "The first two messages of the page, one after the other.", steps,
           [(ONE, T, True), (TWO, T + 3599, False), (TWO, T + 3600, True), (THREE, T + 3600, False),
            (EIGHT, T + 3600, False), (EIGHT, T + 3600, True, OTHER_APP, T - 1),
            (EIGHT, T + 3600, False, OTHER_APP, T),
            (TEST, T + 3600, True, APP, T - 1), (TEST, T + 3600, False, APP, T), (SHORT, T + 3600, True, APP, T),
            (SHORT, T + 3600, False, APP, T + 1)])
    accept("worked-1", "The first message of the page by itself: there is more to come.", steps[:1],
           [(THREE, T, True), (EIGHT, T, False)])
    accept("worked-3", "The third message of the page: one realm alone.", [(WORKED_3, T + 1, True)],
           [(ONE, T + 1, True), (TWO, T + 1, False), (THREE, T + 1, False), (EIGHT, T + 1, True, OTHER_APP, T - 1),
            (TWO, T + 3600, True)], realm="acme_live")
    accept("worked-3-4", "The third and the fourth message of the page: they agree on what counts.",
           [(WORKED_3, T + 1, True), (WORKED_4, T + 2, True)], [(ONE, T + 2, True)], realm="acme_live")


def json_accepted():
    event = revoke(13, THREE)
    accept("json-blanks", "Blanks within an object are JSON's own business.",
           [(lines(head(seq=13), '{ "seq" :\t13 , "revoke": "%s" }' % THREE), T, True)], [(THREE, T, True)])
    accept("json-order", "The order of fields means nothing.",
           [(lines(dict(reversed(head(seq=13).items())), dict(reversed(event.items()))), T, True)], [(THREE, T, True)])
    accept("json-escapes", "A character and its escape are the same.",
           [(lines(head(seq=13), json.dumps(event).replace("revoke", "\\u0072evoke").replace("acme", "\\u0061cme")), T,
             True)],
           [(THREE, T, True)])
    accept("numbers-largest", "The largest of every number.",
           [(message(revoke(MAX, THREE, expires_at=2**32 - 1, effective_at=2**32 - 1), this_update=T, next_update=MAX,
                     keyring_serial=MAX, versions=[{"version": 2**32 - 1, "state": "destroyed"}]), T, True)],
           [(THREE, T, False), (THREE, 2**32 - 1, True)])
    accept("numbers-smallest", "The smallest of every number.",
           [(message(revoke(1, THREE, expires_at=1, effective_at=0), {"seq": 2, "revoke_app": APP, "issued_before": 0},
                     this_update=0, next_update=0, keyring_serial=0, versions=[]), 0, True)], [(THREE, 0, True)])


def reading_on():
    accept("nothing-happened", "No event, but it is fresh again.",
           [(FIRST, T, True), (message(**NEXT, this_update=T + 30, next_update=T + 90), T + 30, True)],
           [(ONE, T + 30, True)])
    accept("gaps", "Numbers may be left out, at the end, too: those events are obsolete.",
           [(FIRST, T, True), (message(revoke(40, THREE), after=12, seq=99), T, True)], [(THREE, T, True)])
    accept("from-nothing", "A log in which nothing has happened.", [(message(), T, True)], [(ONE, T, False)])
    accept("three-messages", "A long log comes in several messages, which the same second may sign.",
           [(message(revoke(1, ONE), head=9), T, False), (message(revoke(2, TWO), after=1, seq=5, head=9), T, False),
            (message(revoke(9, THREE), after=5), T, True)], [(ONE, T, True), (TWO, T, True), (THREE, T, True)])
    accept("end-moves-on", "While a follower fetches, the log grows.",
           [(message(revoke(1, ONE), head=2), T, False), (message(revoke(2, TWO), after=1, head=3), T, False),
            (message(revoke(3, THREE), after=2), T, True)], [(THREE, T, True)])
    accept("end-of-a-node-behind", "A node that is behind says that this is the end; another said that there is more.",
           [(message(revoke(1, ONE), head=9), T, False),
            (message(revoke(2, TWO), after=1, next_update=T + 90), T, False)],
           [(TWO, T, True)])
    accept("not-fresh-before-the-end", "What is known is not fresh again before the end of the log is reached.",
           [(FIRST, T, True),
            (message(after=12, seq=13, head=14, this_update=T + 50, next_update=T + 110), T + 50, False)])
    accept("refused-then-asked-again", "After a refused message the right one still fits.",
           [(FIRST, T, True), (message(revoke(14, THREE), after=13), T, "not_next"),
            (message(revoke(14, THREE), after=12), T, True)], [(THREE, T, True)])
    accept("stale-on-arrival", "A message that is stale already tells what it tells.",
           [(message(revoke(1, ONE)), T + 1000, True)], [(ONE, T + 1000, True)])
    accept("made-a-little-earlier", "The clocks of two servers may be 300 seconds apart; the fresher word stands.",
           [(FIRST, T, True),
            (message(revoke(13, THREE), after=12, this_update=T - 300, next_update=T - 240), T, True)],
           [(THREE, T, True)])
    accept("made-a-little-later-than-now", "And those of a server and a follower, too.",
           [(message(revoke(1, ONE), this_update=T + 300, next_update=T + 360), T, True)], [(ONE, T, True)])


def clocks_ahead():
    year = 365 * 86_400
    first = (message(revoke(9, ONE), seq=12, this_update=T + year, next_update=T + year + 60), T + year, True)
    accept("clocks-were-ahead", "The server's clock and the follower's were a year ahead: once they are right it goes on.",
           [first, (message(revoke(13, THREE), after=12), T, True)], [(ONE, T, True), (THREE, T, True)])
    accept("clocks-were-ahead-before-the-end", "And what was fresh by the wrong clocks is so no more.",
           [first, (message(revoke(13, THREE), after=12, head=14), T, False)], [(ONE, T, True), (THREE, T, True)])
    accept("clocks-were-ahead-and-are-again", "A message by a clock that is still ahead is refused as any other.",
           [first, (message(**NEXT, this_update=T + 301, next_update=T + 361), T, "future"),
            (message(**NEXT), T, True)], [(ONE, T, True)])
    accept("clocks-were-a-little-ahead", "By 300 seconds the clocks may be apart, and the order of messages holds.",
           [(message(revoke(9, ONE), seq=12, this_update=T + 300, next_update=T + 360), T, True),
            (message(**NEXT, this_update=T - 1, next_update=T + 59), T, "older"),
            (message(**NEXT, this_update=T - 1, next_update=T + 59), T - 1, True)], [(ONE, T, True)])


def scheduled():
    later, sooner = revoke(1, ONE, effective_at=T + 100), revoke(2, ONE, effective_at=T + 50)
    at = [(ONE, T + 49, False), (ONE, T + 50, True), (ONE, T + 100, True)]
    accept("scheduled-earlier-second", "Of two times the earlier counts, said second.",
           [(message(later, sooner), T, True)], at)
    accept("scheduled-earlier-first", "Of two times the earlier counts, said first.",
           [(message(sooner | {"seq": 1}, later | {"seq": 2}), T, True)], at)
    accept("scheduled-then-at-once", "A revocation that has no time overtakes one that has.",
           [(message(later), T, True), (message(revoke(2, ONE), after=1), T, True)], [(ONE, T, True)])
    accept("at-once-then-scheduled", "What is revoked is not given back until a later time.",
           [(message(revoke(1, ONE)), T, True), (message(later | {"seq": 2}, after=1), T, True)], [(ONE, T, True)])
    accept("scheduled-for-now", "A time that has come.",
           [(message(revoke(1, ONE, effective_at=T), revoke(2, TWO, effective_at=T + 1)), T, True)],
           [(ONE, T, True), (TWO, T, False), (TWO, T + 1, True)])
    accept("scheduled-while-stale", "It takes effect by the follower's clock, though nothing more arrives.",
           [(message(later), T, True)], [(ONE, T + 99, False), (ONE, T + 86400, True)])
    accept("scheduled-and-resumed", "To resume a key does not call its revocation off.",
           [(message(later, suspend(2, ONE), resume(3, ONE)), T, True)], [(ONE, T, False), (ONE, T + 100, True)])
    accept("scheduled-restart", "A new log that says nothing of it does not call it off.",
           [(message(later), T, True), RESTART, (message(log_id=OTHER_LOG), T, True)],
           [(ONE, T + 99, False), (ONE, T + 100, True)])


def suspended():
    accept("suspended-and-resumed", "The last word counts.",
           [(message(suspend(1, ONE), suspend(2, TWO), resume(3, ONE), resume(4, TWO), suspend(5, TWO)), T, True)],
           [(ONE, T, False), (TWO, T, True)])
    accept("resumed-and-revoked", "To resume a revoked key does nothing.",
           [(message(revoke(1, ONE), resume(2, ONE), suspend(3, TWO), revoke(4, TWO), resume(5, TWO)), T, True)],
           [(ONE, T, True), (TWO, T, True)])
    accept("resumed-unknown", "A key may be resumed of whose suspension nothing was heard.",
           [(message(resume(1, ONE), resume(2, TWO), suspend(3, TWO)), T, True)], [(ONE, T, False), (TWO, T, True)])
    one = message(suspend(1, ONE), suspend(2, TWO))
    accept("resumed-before-the-end", "Before the end of the log a key is not resumed: more may be said of it.",
           [(one, T, True), (message(resume(3, ONE), after=2, seq=3, head=9), T, False)], [(ONE, T, True)])
    accept("resumed-at-the-end", "At the end of the log it is.",
           [(one, T, True), (message(resume(3, ONE), after=2, seq=3, head=9), T, False),
            (message(after=3, seq=9), T, True)], [(ONE, T, False), (TWO, T, True)])
    accept("resumed-and-suspended-at-the-end", "It was suspended again, and so was never let through.",
           [(one, T, True), (message(resume(3, ONE), after=2, seq=3, head=9), T, False),
            (message(suspend(9, ONE), after=3), T, True)], [(ONE, T, True)])
    accept("resumed-and-suspended-on-the-way", "The same, with both before the end.",
           [(one, T, True), (message(resume(3, ONE), after=2, seq=3, head=9), T, False),
            (message(suspend(4, ONE), after=3, head=9), T, False), (message(after=4, seq=9), T, True)],
           [(ONE, T, True)])


def restarts():
    other = dict(log_id=OTHER_LOG, this_update=T + 5, next_update=T + 65)
    accept("restart-keeps", "Another log, read from its beginning, gives back nothing by its silence.",
           [(FIRST, T, True), (message(after=12, **other), T + 5, "other_log"), RESTART,
            (message(revoke(1, THREE), **other), T + 5, True)],
           [(ONE, T + 5, True), (TWO, T + 5, True), (THREE, T + 5, True)])
    accept("restart-resumes", "Only an event that resumes a key gives it back.",
           [(FIRST, T, True), RESTART, (message(resume(3, TWO), **other), T + 5, True)],
           [(ONE, T + 5, True), (TWO, T + 5, False)])
    accept("restart-forgets-what-waited", "A key that was to be resumed in the old log is not resumed by the new one.",
           [(FIRST, T, True), (message(resume(13, TWO), after=12, head=20), T, False), RESTART,
            (message(**other), T + 5, True)], [(TWO, T + 5, True)])
    accept("restart-the-same-log", "The same log, from its beginning.",
           [(FIRST, T, True), RESTART, (FIRST, T, True)], [(ONE, T, True)])
    accept("restart-not-to-the-past", "An old log cannot be passed off for a new one.",
           [(FIRST, T, True), RESTART, (message(log_id=OTHER_LOG, this_update=T - 301), T, "older")], [(ONE, T, True)])
    accept("restart-keeps-versions", "What was compromised stays so in a new log.",
           [(message(versions=[{"version": 7, "state": "compromised"}]), T, True), RESTART,
            (message(**other, keyring_serial=9), T + 5, True)])


def live_sets():
    two, after = dict(bulla="feed/2"), dict(bulla="feed/2", after=12)
    ids = [one_id(1, ONE), one_id(2, TWO)]
    accept("live-of-ids", "A revoked and a suspended id.",
           [(message(revoke(9, ONE), suspend(12, TWO), live=live(*ids), **two), T, True)], [(ONE, T, True)])
    accept("live-left-out", "A server may leave it out at the end of the log, too.",
           [(message(revoke(9, ONE), suspend(12, TWO), **two), T, True)], [(ONE, T, True)])
    accept("live-after-format-1", "What was read in format 1 counts as well.",
           [(FIRST, T, True), (message(live=live(*ids), **after), T, True)])
    accept("live-of-nothing", "The empty set has its digest, too.", [(message(live=live(), **two), T, True)])
    accept("live-of-both", "One id that is revoked and suspended is two entries; said twice it is no third.",
           [(message(suspend(1, ONE), revoke(2, ONE), revoke(3, ONE), suspend(4, ONE),
                     live=live(one_id(1, ONE), one_id(2, ONE)), **two), T, True)])
    accept("live-of-rules", "Rules count with their time, and not if that is 0.",
           [(message({"seq": 1, "revoke_app": APP, "issued_before": 7}, {"seq": 2, "revoke_app": APP, "issued_before": 9},
                     {"seq": 3, "revoke_app": APP, "realm": "acme", "issued_before": 2**32 - 1},
                     {"seq": 4, "revoke_realm": "acme", "issued_before": T},
                     {"seq": 5, "revoke_realm": "acme_test", "issued_before": 0},
                     {"seq": 6, "revoke_app": OTHER_APP, "issued_before": 0},
                     live=live(b"\3" + uuid.UUID(APP).bytes + bytes([0, 0, 0, 9]),
                               b"\3" + uuid.UUID(APP).bytes + b"\xff" * 4 + b"acme",
                               b"\4" + T.to_bytes(4, "big") + b"acme"), **two), T, True)])
    accept("live-before-it-takes-effect", "A revoked id counts from its event on; once more at once is the same entry.",
           [(message(revoke(1, ONE, effective_at=T + 9), live=live(one_id(1, ONE)), **two), T, True),
            (message(revoke(2, ONE), after=1, live=live(one_id(1, ONE)), **two), T, True),
            (message(revoke(3, ONE, effective_at=T + 5), after=2, live=live(one_id(1, ONE)), **two), T, True)],
           [(ONE, T, True)])
    today = T // DAY * DAY
    accept("live-without-the-expired", "Only ids whose keys expire on that day or later count.",
           [(message(revoke(1, ONE, expires_at=today - 1), suspend(2, TWO, expires_at=today), revoke(3, THREE),
                     live=live(one_id(2, TWO), one_id(1, THREE)), **two), T, True)])
    accept("live-by-the-latest-expiry", "Of two expiries the later counts, and none is the latest.",
           [(message(revoke(1, ONE, expires_at=today), revoke(2, ONE, expires_at=1), revoke(3, TWO),
                     revoke(4, TWO, expires_at=1), revoke(5, THREE, expires_at=1, effective_at=T + 9),
                     revoke(6, THREE, expires_at=today), live=live(*(one_id(1, i) for i in (ONE, TWO, THREE))), **two),
             T, True)])
    accept("live-without-destroyed-versions", "Ids of a destroyed version do not count; rules do.",
           [(message(revoke(1, ONE), revoke(2, EIGHT), {"seq": 3, "revoke_realm": "acme", "issued_before": T},
                     versions=[{"version": 7, "state": "destroyed"}, {"version": 8, "state": "compromised"}],
                     live=live(one_id(1, EIGHT), b"\4" + T.to_bytes(4, "big") + b"acme"), **two), T, True)])
    accept("live-after-a-resume", "What is resumed on the way does not count at the end.",
           [(message(suspend(1, ONE), resume(2, ONE), suspend(3, TWO), head=4, **two), T, False),
            (message(resume(4, TWO), after=3, live=live(), **two), T, True)], [(ONE, T, False), (TWO, T, False)])
    accept("live-of-one-realm", "In one realm, with rules of every realm.",
           [(message(revoke(1, ONE), {"seq": 2, "revoke_app": APP, "issued_before": 7}, realm="acme_live",
                     live=live(one_id(1, ONE), b"\3" + uuid.UUID(APP).bytes + bytes([0, 0, 0, 7])), **two), T, True)],
           realm="acme_live")
    wrong = live(*ids) | {"digest": "0" * 32}
    accept("diverged-digest", "Another digest: the message counts, and the follower starts again.",
           [(FIRST, T, True), (message(revoke(13, THREE), live=wrong, **after), T, DIVERGED), RESTART,
            (message(revoke(9, ONE), suspend(12, TWO), revoke(13, THREE), live=live(*ids, one_id(1, THREE)), **two), T,
             True)], [(ONE, T, True), (TWO, T, True), (THREE, T, True)])
    accept("diverged-count", "Another count.", [(FIRST, T, True), (message(live=live(*ids) | {"count": 3}, **after), T,
                                                                   DIVERGED)], [(ONE, T, True), (TWO, T, True)])
    accept("diverged-missed-a-resume", "Read again to where it was, the log says that a key is not suspended.",
           [(FIRST, T, True), (message(live=live(ids[0]), **after), T, DIVERGED), RESTART,
            (message(revoke(9, ONE), resume(11, TWO), seq=12, live=live(ids[0]), **two), T, True)],
           [(ONE, T, True), (TWO, T, False)])
    accept("diverged-lost-its-end", "A log that does not say a revocation any more has lost its end, suspensions with it.",
           [(FIRST, T, True), (message(live=live(), **after), T, DIVERGED), RESTART,
            (message(revoke(13, THREE), live=live(one_id(1, THREE)), **two), T, True)],
           [(ONE, T, True), (TWO, T, True), (THREE, T, True)])
    accept("diverged-lost-a-rule", "A rule that it does not say is as good.",
           [(message(suspend(9, TWO), {"seq": 12, "revoke_realm": "acme_live", "issued_before": 8}), T, True), RESTART,
            (message(seq=12, live=live(), **two), T, True)], [(ONE, T, True, APP, 7), (TWO, T, True)])
    later = dict(effective_at=T + 100)
    accept("diverged-lost-what-was-sooner", "Nor may it say that a key is revoked later.",
           [(message(revoke(9, ONE), suspend(12, TWO)), T, True), RESTART,
            (message(revoke(9, ONE, **later), seq=12, live=live(ids[0]), **two), T, True)],
           [(ONE, T, True), (TWO, T, True)])
    accept("diverged-without-the-expired", "That it does not say expired keys any more means nothing.",
           [(message(revoke(9, THREE, expires_at=T - 2 * DAY), suspend(12, TWO)), T, True), RESTART,
            (message(seq=12, live=live(), **two), T, True)], [(TWO, T, False)])
    accept("diverged-not-confirmed", "Without the digest nothing is given up that was known.",
           [(FIRST, T, True), RESTART, (message(revoke(9, ONE), seq=12, **two), T, True)], [(TWO, T, True)])
    accept("diverged-not-far-enough", "Nor before the place that had been reached.",
           [(FIRST, T, True), RESTART, (message(revoke(9, ONE), seq=11, live=live(ids[0]), **two), T, True)],
           [(TWO, T, True)])
    accept("diverged-in-another-log", "Nor by another log.",
           [(FIRST, T, True), RESTART, (message(revoke(9, ONE), seq=12, live=live(ids[0]), log_id=OTHER_LOG, **two), T, True),
            (message(live=live(ids[0]), log_id=OTHER_LOG, **after), T, True)], [(TWO, T, True)])
    for name, reason, value in (
            ("null", "wrong_value", "null"), ("list", "wrong_value", [live(*ids)]),
            ("not-a-day", "wrong_value", live(*ids) | {"from": T + 1}),
            ("digest-upper-case", "wrong_value", live(*ids) | {"digest": "AB" * 16}),
            ("digest-short", "wrong_value", live(*ids) | {"digest": "ab" * 15}),
            ("count-negative", "wrong_value", live(*ids) | {"count": -1}),
            ("without-count", "missing_field", {"from": 0, "digest": "ab" * 16}),
            ("more", "unknown_field", live(*ids) | {"realm": "acme"})):
        text = line(head(**after, seq=13)).decode()[:-1] + ',"live":' + (value if value == "null" else json.dumps(value)) + "}"
        refuse(reason, f"live-{name}", "The live set has one spelling.", lines(text, revoke(13, THREE)))
    refuse("unknown_field", "live-in-format-1", "Format 1 does not have it.", message(live=live(*ids), **NEXT))
    refuse("unknown_field", "live-before-the-end", "It is of the log's end.",
           message(revoke(13, THREE), head=14, live=live(*ids), **after))


# -- Snapshots ----------------------------------------------------------------------------------------------
TODAY, KEPT = T // DAY, 49710


def snapshot(*chunks, entries, seq=12, body=None, **changes):
    """(manifest, body) of these chunks, each a list of groups or bytes; `entries` are the live set's."""
    chunks = [chunk if isinstance(chunk, bytes) else bulla_snapshot.write_body([chunk])[0] for chunk in chunks]
    fields = {"bulla": "snapshot/2", "keyring_id": KEYRING_ID.hex(), "log_id": LOG, "realm": None, "seq": seq,
              "this_update": T, "keyring_serial": 3, "versions": VERSIONS, "live": live(*entries),
              "chunks": [{"bytes": len(chunk), "sha256": hashlib.sha256(chunk).hexdigest()} for chunk in chunks]}
    fields |= changes
    return lines({field: value for field, value in fields.items() if value is not None}), body or b"".join(chunks)


def ids_of(kind, realm, day, *api_key_ids, version=7):
    return kind, realm, version, day, [bulla_snapshot.id_record(api_key_id) for api_key_id in api_key_ids]


def snapshots():
    begin = (message(revoke(1, THREE, expires_at=T + DAY), seq=1, head=12, bulla="feed/2"), T, False)
    ids = ids_of(1, "acme_live", KEPT, ONE), ids_of(2, "acme_live", TODAY, TWO)
    entries = one_id(1, ONE), one_id(2, TWO)
    good = snapshot(ids, entries=entries)
    after = (message(bulla="feed/2", after=12, live=live(*entries)), T, True)
    asks = [(ONE, T, True), (TWO, T, True), (THREE, T, False)]
    accept("snapshot", "In the place of what the follower had read; the next message says that there is no more.",
           [begin, (*good, T, None), after], asks)
    accept("snapshot-first", "Nothing was read before it.", [(*good, T, None), after], asks)
    accept("snapshot-in-chunks", "A group may go on in another chunk.",
           [(*snapshot([ids[0]], [ids[1], ids_of(1, "acme_live", KEPT, THREE)], entries=(*entries, one_id(1, THREE))), T,
             None)], [(ONE, T, True), (TWO, T, True), (THREE, T, True)])
    accept("snapshot-of-nothing", "It has no chunks.", [begin, (*snapshot(entries=()), T, None)], [(THREE, T, False)])
    accept("snapshot-empty-group", "A group of no records.",
           [(*snapshot([ids_of(1, "acme_live", KEPT)], entries=()), T, None)])
    rules = [(3, "", 0, 0, [uuid.UUID(APP).bytes + bytes([0, 0, 0, 9])]),
             (3, "acme", 0, 0, [uuid.UUID(OTHER_APP).bytes + T.to_bytes(4, "big")]),
             (4, "acme_test", 0, 0, [T.to_bytes(4, "big")])]
    accept("snapshot-rules", "Rules of apps, everywhere and in one realm, and of a realm.",
           [(*snapshot(rules, entries=(b"\3" + rules[0][4][0], b"\3" + rules[1][4][0] + b"acme",
                                       b"\4" + rules[2][4][0] + b"acme_test")), T, None)],
           [(SHORT, T, True, APP, 8), (SHORT, T, False, APP, 9), (SHORT, T, True, OTHER_APP, T - 1),
            (ONE, T, False, OTHER_APP, T - 1), (TEST, T, True, OTHER_APP, T - 1), (TEST, T, False, OTHER_APP, T)])
    waiting = (5, "acme_live", 7, KEPT, [bulla_snapshot.id_record(TWO) + (T + 9).to_bytes(4, "big")])
    accept("snapshot-waiting", "A revoked id that waits for its time.",
           [(*snapshot([waiting], entries=(one_id(1, TWO),)), T, None)], [(TWO, T + 8, False), (TWO, T + 9, True)])
    old = ids_of(1, "acme_live", TODAY - 1, THREE)
    accept("snapshot-expired", "What expired before the day is loaded, and does not count.",
           [(*snapshot([*ids, old], entries=entries), T, None), after], [(THREE, T, True)])
    accept("snapshot-older", "An older one is as good: what came after it follows.",
           [(message(seq=1, head=12, bulla="feed/2"), T, False), (*snapshot(ids, entries=entries, this_update=T - 99999), T, None),
            after], asks)
    accept("snapshot-of-one-realm", "With rules of every realm.",
           [(*snapshot([ids[0], rules[0]], entries=(entries[0], b"\3" + rules[0][4][0]), realm="acme_live"), T, None)],
           [(ONE, T, True), (EIGHT, T, True, APP, 8)], realm="acme_live")
    accept("snapshot-after-a-restart", "What was known before stays in force until the log is confirmed.",
           [(message(suspend(1, THREE), seq=12), T, True), RESTART, (*good, T, None)],
           [(ONE, T, True), (TWO, T, True), (THREE, T, True)])
    accept("snapshot-after-a-restart-confirmed", "And then not.",
           [(message(suspend(1, THREE), seq=12), T, True), RESTART, (*good, T, None), after], asks)

    def no(reason, name, why, manifest, body, now=T, realm=None):
        case(f"refused/snapshot-{name}.json", why, [begin, (manifest, body, now, reason)] if realm is None else
             [(manifest, body, now, reason)], [(ONE, T, False)], realm=realm)

    no("chunk", "cut-off", "The body is too short.", good[0], good[1][:-1])
    no("chunk", "too-long", "The body is too long.", good[0], good[1] + b"\0")
    no("chunk", "altered", "A bit was changed.", good[0], bytes([good[1][0] ^ 2]) + good[1][1:])
    no("live", "digest", "It does not come to what the manifest says.", *snapshot(ids, entries=entries[:1]))
    no("live", "twice", "An id twice.", *snapshot([*ids, ids[0]], entries=entries))
    raw = bulla_snapshot.write_body([ids])[0]
    for name, chunk in {
            "kind": bytes([6]) + raw[1:], "kind-0": bytes(13), "cut-head": raw[:5], "cut-records": raw[:-1],
            "count": raw[:17] + b"\xff\xff\xff\xff" + raw[21:], "realm-upper-case": raw.replace(b"acme", b"Acme"),
            "realm-not-text": raw.replace(b"acme", b"\xffcme"), "no-realm": raw[:1] + b"\0" + raw[11:],
            "rule-with-version": bulla_snapshot.write_body([[(4, "acme", 1, 0, [bytes(4)])]])[0],
            "rule-with-day": bulla_snapshot.write_body([[(4, "acme", 0, 1, [bytes(4)])]])[0]}.items():
        no("group", "group-" + name, "A chunk that does not consist of groups.", *snapshot(chunk, entries=entries))
    no("group", "group-other-realm", "A group about another realm.",
       *snapshot([ids_of(1, "acme_test", KEPT, TEST)], entries=(), realm="acme_live"), realm="acme_live")
    no("other_realm", "every-realm", "It was not asked for.", *good, realm="acme_live")
    no("other_realm", "one-realm", "It leaves things out.", *snapshot(entries=(), realm="acme_live"))
    no("other_log", "other-log", "Of another log.", *snapshot(ids, entries=entries, log_id=OTHER_LOG))
    no("not_next", "behind", "It is behind the follower.", *snapshot(entries=(), seq=0))
    no("future", "future", "Made 301 seconds from now.", *snapshot(ids, entries=entries, this_update=T + 301))
    no("signature", "signature", "Signed by another key.",
       sign(good[0][:good[0].rindex(b"{")], seed=OTHER_SEED), good[1])
    no("format", "message", "A message is no manifest.", message(bulla="feed/2"), b"")
    no("format", "newer", "A newer format.", *snapshot(entries=(), bulla="snapshot/3"))
    no("other_keyring", "keyring", "Of another keyring.", *snapshot(entries=(), keyring_id=OTHER_KEYRING.hex()))
    no("missing_field", "without-live", "It has to say what it comes to.", *snapshot(entries=(), live=None))
    no("missing_field", "without-chunks", "It has to have them.", *snapshot(entries=(), chunks=None))
    no("unknown_field", "field", "A field that it does not have.", *snapshot(entries=(), next_update=T + 60))
    no("wrong_value", "chunk-empty", "A chunk has a byte at least.",
       *snapshot(entries=(), chunks=[{"bytes": 0, "sha256": "0" * 64}]))
    no("wrong_value", "chunk-long", "And at most 1048576.",
       *snapshot(entries=(), chunks=[{"bytes": 1048577, "sha256": "0" * 64}]))
    no("wrong_value", "chunk-upper-case", "Hexadecimal digits are in lower case.",
       *snapshot(entries=(), chunks=[{"bytes": 1, "sha256": "A" * 64}]))
    no("unknown_field", "chunk-field", "A field that a chunk does not have.",
       *snapshot(entries=(), chunks=[{"bytes": 1, "sha256": "0" * 64, "name": 1}]))
    case("refused/manifest-as-message.json", "A manifest is no message.", [(good[0], T, "format")], [(ONE, T, False)])


def versions():
    def of(state, serial):
        return dict(versions=[{"version": 7, "state": state}], keyring_serial=serial)

    accept("versions-every-state", "Only compromised and destroyed versions are refused.",
           [(message(versions=[{"version": n, "state": state} for n, state in enumerate(feed.STATES, 1)]), T, True)])
    accept("versions-stay-refused", "A version that was given up does not come back.",
           [(message(**of("compromised", 3)), T, True), (message(**of("active", 4)), T, True)])
    accept("versions-left-out", "Not even by not being spoken of.",
           [(message(**of("destroyed", 3)), T, True), (message(versions=[], keyring_serial=4), T, True)])
    accept("versions-of-an-older-keyring", "A node that has an older keyring yet says nothing new.",
           [(message(**of("active", 4)), T, True), (message(**of("staged", 3)), T, True)])
    accept("versions-given-up-in-an-older-keyring", "To give a version up counts in any case.",
           [(message(**of("active", 4)), T, True), (message(**of("compromised", 3)), T, True)])
    accept("versions-before-the-end", "And at once, before the end of the log is reached.",
           [(message(revoke(1, ONE), head=2, **of("compromised", 3)), T, False)])


def rules():
    def rule(seq, before, **more):
        return {"seq": seq, "revoke_app": APP, **more, "issued_before": before}

    accept("rules-later-counts", "Of two rules the one that takes back more counts, in either order.",
           [(message(rule(1, T), rule(2, T - 9), {"seq": 3, "revoke_realm": "acme", "issued_before": T - 9},
                     {"seq": 4, "revoke_realm": "acme", "issued_before": T}), T, True)],
           [(ONE, T, True, APP, T - 1), (ONE, T, False, APP, T), (SHORT, T, True, OTHER_APP, T - 1),
            (SHORT, T, False, OTHER_APP, T)])
    accept("rules-of-one-realm", "Another app, another realm, a realm whose name begins alike.",
           [(message(rule(1, T, realm="acme"), {"seq": 2, "revoke_realm": "acme_test", "issued_before": T}), T, True)],
           [(SHORT, T, True), (SHORT, T, False, OTHER_APP, ISSUED), (ONE, T, False), (TEST, T, True)])
    accept("one-realm", "What concerns one realm: its ids, its rules, and those for every realm.",
           [(message(revoke(1, ONE), suspend(2, TWO), resume(3, TWO), rule(4, T), rule(5, T + 1, realm="acme_live"),
                     {"seq": 6, "revoke_realm": "acme_live", "issued_before": 7}, realm="acme_live", seq=90),
             T, True)],
           [(ONE, T, True), (THREE, T, True, APP, T)], realm="acme_live")


def unsigned():
    signed, last = FIRST[:FIRST.rindex(b"{")], FIRST[FIRST.rindex(b"{"):]
    raw = last[14:-3]
    bad = {
        "empty": ("Nothing.", b""),
        "cut-off-line": ("Cut off in the last line.", FIRST[:-10]),
        "cut-off-end": ("Cut off before the last byte.", FIRST[:-1]),
        "cut-off-before": ("Cut off before the last line.", signed),
        "alone": ("A signature of nothing.", sign(b"")),
        "crlf": ("A line ends in a line feed alone.", signed + last[:-1] + b"\r\n"),
        "blank": ("The line of the signature has one spelling.", signed + last.replace(b":", b": ")),
        "bytes-behind": ("Nothing stands behind the signature.", FIRST + b"x"),
        "line-behind": ("No empty line either.", FIRST + b"\n"),
        "url-alphabet": ("base64 has the alphabet of RFC 4648, section 4.",
                         signed + b'{"signature":"' + b"-" + raw[1:] + b'"}\n'),
        "no-padding": ("base64 is padded.", signed + last.replace(b"==", b"")),
        "loose-bits": ("The bits that base64 has left over are zero.",
                       signed + b'{"signature":"' + raw[:-3] + bytes([raw[-3] + 1]) + b'=="}\n'),
        "short": ("63 bytes are no signature.", with_signature(signed, base64.b64decode(raw)[:-1])),
        "another-field": ("No other field beside the signature.", signed + last.replace(b"}", b',"key":1}')),
        "hex": ("Not in hexadecimal.", signed + b'{"signature":"' + base64.b64decode(raw).hex().encode() + b'"}\n'),
    }
    for name, (why, raw_message) in bad.items():
        refuse("unsigned", "unsigned-" + name, why, raw_message)


def signatures():
    good = message(revoke(13, THREE), suspend(14, EIGHT), after=12)
    signed = good[:good.rindex(b"{")]
    right = signature(signed)
    scalar = int.from_bytes(right[32:], "little") + GROUP_ORDER
    ends = [end + 1 for end, byte in enumerate(signed) if byte == 10]
    bad = {
        "number-changed": ("One digit of an event is another one.", good.replace(b'"seq":13', b'"seq":23')),
        "blank-added": ("The bytes are signed, not what they mean.", good.replace(b'"revoke":', b'"revoke": ')),
        "line-dropped": ("A line is missing.", signed[:ends[0]] + good[ends[1]:]),
        "lines-swapped": ("Two lines changed places.",
                          signed[:ends[0]] + signed[ends[1]:] + signed[ends[0]:ends[1]] + good[len(signed):]),
        "line-added": ("A line more.", signed + line(revoke(99, THREE)) + b"\n" + good[len(signed):]),
        "cut-off": ("Another message's signature.", signed + FIRST[FIRST.rindex(b"{"):]),
        "two-messages": ("Two messages are not one.", FIRST + good),
        "flipped": ("One bit of the signature.", with_signature(signed, bytes([right[0] ^ 1]) + right[1:])),
        "zero": ("Zeros for a signature.", with_signature(signed, bytes(64))),
        "scalar-too-large": ("The same signature in a second form, which RFC 8032 rules out.",
                             with_signature(signed, right[:32] + scalar.to_bytes(32, "little"))),
        "other-key": ("Signed with another key.", sign(signed, seed=OTHER_SEED)),
        "other-keyring": ("Signed for another keyring, and names this one.",
                          sign(signed, prefix=LABEL + OTHER_KEYRING)),
        "of-another-keyring": ("A right message of another keyring that has the same key.",
                               sign(signed.replace(KEYRING_ID.hex().encode(), OTHER_KEYRING.hex().encode()),
                                    prefix=LABEL + OTHER_KEYRING)),
        "no-label": ("Signed without the label.", sign(signed, prefix=b"")),
        "other-label": ("Signed under another label.", sign(signed, prefix=b"bulla/v1 keyring-mac\0" + KEYRING_ID)),
    }
    for name, (why, raw_message) in bad.items():
        refuse("signature", "signature-" + name, why, raw_message)


def not_objects():
    event, good = revoke(13, THREE), head(after=12, seq=13)
    text = line(event).decode()
    bad = {
        "empty-line": "", "array": "[13]", "text": '"revoke"', "null": "null", "number": "13",
        "cut-off": text[:-2], "two": text + text, "comma": text[:-1] + ",}", "carriage-return": text + "\r",
        "blank-in-front": " " + text, "blank-behind": text + " ", "leading-zero": text.replace("13", "013"),
        "plus": text.replace("13", "+13"), "nan": text.replace("13", "NaN"), "hex": text.replace("13", "0xd"),
        "single-quotes": text.replace('"', "'"), "comment": text[:-1] + "/* */}",
        "unquoted": text.replace('"seq"', "seq"),
        "control-character": text.replace("acme", "ac\tme"), "in-data-of-sse": "data: " + text,
    }
    for name, bad_line in bad.items():
        refuse("not_an_object", "json-" + name, "An event that is no line with one JSON object.",
               lines(good, bad_line))
    refuse("not_an_object", "json-head-empty", "No head.", sign(b"\n"))
    refuse("not_an_object", "json-head-array", "The fields of a head without their names.",
           lines(json.dumps(list(good.values())), event))
    refuse("not_an_object", "json-byte-order-mark", "A byte-order mark in front.",
           sign("\ufeff".encode() + line(good) + b"\n"))
    refuse("not_an_object", "json-not-utf-8", "Latin-1.",
           sign(line(good) + b"\n" + line(event)[:-1] + b',"\xe4":1}\n'))
    refuse("not_an_object", "json-no-line-feed", "Two events in one line.",
           sign(line(good) + b"\n" + line(event) * 2 + b"\n"))


def fields():
    good, after = head(after=12, seq=13), line(head(after=12, seq=13)).decode()
    text = line(revoke(13, THREE)).decode()
    twice = {"head": (after[:-1] + ',"after":12}', text), "event": (after, '{"seq":13,' + text[1:]),
             "kind": (after, text[:-1] + ',"revoke":"%s"}' % TWO),
             "version": (after.replace('"state":"staged"', '"state":"staged","state":"active"'), text),
             "escaped": (after, text[:-1] + ',"se\\u0071":13}'), "unknown": (after, text[:-1] + ',"x":1,"x":1}')}
    for name, bad in twice.items():
        refuse("duplicate_field", "twice-" + name, "Which of the two counts is anyone's guess.", lines(*bad))
    for field in good:
        refuse("missing_field", "missing-" + field.replace("_", "-"), f"A head without {field}.",
               lines({name: value for name, value in good.items() if name != field}))
    rule = {"seq": 13, "revoke_realm": "acme", "issued_before": T}
    refuse("missing_field", "missing-event-seq", "An event without a number.",
           message({"revoke": THREE}, after=12, seq=13))
    for kind, value in (("revoke_app", APP), ("revoke_realm", "acme")):
        refuse("missing_field", "missing-issued-before-of-" + kind.replace("_", "-"), "A rule without its time.",
               message({"seq": 13, kind: value}, after=12))
    for field in ("version", "state"):
        refuse("missing_field", "missing-version-" + field, "Half of a version.",
               message(**NEXT, versions=[{name: value for name, value in VERSIONS[0].items() if name != field}]))
    unknown = {
        "revoke": revoke(13, THREE, reason="leaked"), "revoke-rule": revoke(13, THREE, issued_before=T),
        "revoke-realm": revoke(13, THREE, realm="acme_live"),
        "suspend-effective-at": suspend(13, THREE, effective_at=T + 9),
        "resume-expires-at": resume(13, THREE) | {"expires_at": T + 9},
        "rule-effective-at": rule | {"effective_at": T + 9},
        "rule-realm": rule | {"realm": "acme"}, "rule-expires-at": rule | {"expires_at": T + 9},
        "case": revoke(13, THREE, Expires_at=T),
    }
    for name, event in unknown.items():
        refuse("unknown_field", "unknown-in-" + name, "A field that this kind of event does not have.",
               message(event, after=12))
    refuse("unknown_field", "unknown-in-head", "A field that a newer server might put there.",
           message(**NEXT, region="eu"))
    refuse("unknown_field", "unknown-in-version", "The same of a version.",
           message(**NEXT, versions=[VERSIONS[0] | {"suite": 1}]))


def values():
    number = {"text": "12", "fraction": 12.5, "float": 12.0, "negative": -12, "true": True, "list": [12],
              "too-large": 2**53, "huge": 10**30}
    for name, bad in number.items():
        refuse("wrong_value", "value-after-" + name, "Not an integer from 0 to 2^53 - 1.",
               lines(head(after=12, seq=13) | {"after": bad}))
    for name, bad in {"exponent": "1.2e1", "minus-zero": "-0", "null": "null"}.items():
        text = line(head(after=12, seq=13)).decode().replace('"after":12', f'"after":{bad}')
        refuse("wrong_value", "value-after-" + name, "Not an integer from 0 to 2^53 - 1.", lines(text))
    for field in ("seq", "head", "this_update", "next_update", "keyring_serial"):
        refuse("wrong_value", "value-" + field.replace("_", "-"), "Not an integer from 0 to 2^53 - 1.",
               lines(head(after=12, seq=13) | {field: 2**53}))
    texts = {
        "bulla": ["feed/1"], "keyring_id": KEYRING_ID.hex().upper(), "log_id": LOG[:-2], "realm": "Acme",
        "versions": {}, "next_update": "2027-01-15T08:01:00Z",
    }
    for field, bad in texts.items():
        refuse("wrong_value", "value-kind-" + field.replace("_", "-"), f"Not what {field} is to be.",
               lines(head(after=12, seq=13) | {field: bad}))
    refuse("wrong_value", "value-realm-null", "A field that says nothing is left out.",
           lines(json.dumps(head(after=12, seq=13) | {"realm": None})))
    versions = {"number": [7], "pair": [[7, "active"]], "zero": [{"version": 0, "state": "active"}],
                "too-large": [{"version": 2**32, "state": "active"}], "text": [{"version": "7", "state": "active"}],
                "state": [{"version": 7, "state": "retired"}], "case": [{"version": 7, "state": "Active"}],
                "state-number": [{"version": 7, "state": 2}]}
    for name, bad in versions.items():
        refuse("wrong_value", "value-version-" + name, "Not a version and its state.", message(**NEXT, versions=bad))
    ids = {"upper-case": "Acme" + ONE[4:], "short": ONE[:-1], "long": ONE + "0", "no-realm": ONE[10:],
           "dash": ONE[:-1] + "-",
           "wraps": ONE[:10] + "z" * 22, "realm-too-long": "a" * 25 + ONE[9:], "empty": "", "spaces": " " + ONE,
           "whole-key": ONE + "BSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw"}
    for name, bad in ids.items():
        refuse("wrong_value", "value-id-" + name, "Not an API-key id.", message(revoke(13, bad), after=12))
    for kind in ("suspend", "resume"):
        refuse("wrong_value", "value-id-of-" + kind, "Not an API-key id.",
               message({"seq": 13, kind: "live"}, after=12))
    refuse("wrong_value", "value-id-number", "Not an API-key id.", message(revoke(13, 1), after=12))
    apps = {"upper-case": APP.upper(), "braces": "{" + APP + "}", "no-hyphens": APP.replace("-", ""),
            "urn": "urn:uuid:" + APP,
            "short": APP[:-1], "hyphens-elsewhere": APP.replace("3f2b8c1e-9a7d", "3f2b-8c1e9a7d")}
    for name, bad in apps.items():
        refuse("wrong_value", "value-app-" + name, "Not a UUID in its one spelling.",
               message({"seq": 13, "revoke_app": bad, "issued_before": T}, after=12))
    events = {
        "seq-zero": revoke(0, THREE), "seq-too-large": revoke(2**53, THREE), "seq-text": revoke("13", THREE),
        "expires-at-zero": revoke(13, THREE, expires_at=0), "expires-at-null": revoke(13, THREE, expires_at=None),
        "expires-at-too-large": revoke(13, THREE, expires_at=2**32),
        "effective-at-null": revoke(13, THREE, effective_at=None),
        "effective-at-too-large": revoke(13, THREE, effective_at=2**32),
        "effective-at-text": revoke(13, THREE, effective_at="2027-01-15T08:01:00Z"),
        "issued-before-negative": {"seq": 13, "revoke_realm": "acme", "issued_before": -1},
        "issued-before-too-large": {"seq": 13, "revoke_app": APP, "issued_before": 2**32},
        "rule-realm": {"seq": 13, "revoke_app": APP, "realm": "acme_", "issued_before": T},
        "rule-realm-null": {"seq": 13, "revoke_app": APP, "realm": None, "issued_before": T},
        "realm": {"seq": 13, "revoke_realm": "a", "issued_before": T},
    }
    for name, event in events.items():
        refuse("wrong_value", "value-event-" + name, "Not what this field is to be.", message(event, after=12, seq=13))


def meaning():
    refuse("format", "format-newer", "A newer format, whatever else it says.",
           lines({"bulla": "feed/3", "next": {"a": 1.5}}))
    refuse("format", "format-case", "The name has one spelling.", message(**NEXT, bulla="Feed/1"))
    refuse("other_keyring", "other-keyring", "Signed for this keyring, and names another one.",
           message(**NEXT, keyring_id=OTHER_KEYRING.hex()))
    refuse("range", "range-after-behind-seq", "It goes backwards.", message(after=12, seq=11, head=20))
    refuse("range", "range-seq-behind-head", "It goes beyond the end.", message(after=12, seq=20, head=19))
    refuse("times", "times", "Stale before it was made.", message(**NEXT, this_update=T, next_update=T - 1))
    refuse("version_order", "versions-twice", "One version twice.", message(**NEXT, versions=[VERSIONS[0]] * 2))
    refuse("version_order", "versions-descending", "Versions in another order.",
           message(**NEXT, versions=VERSIONS[::-1]))
    for name, event in {"none": {"seq": 13}, "newer": {"seq": 13, "quarantine": THREE},
                        "two": {"seq": 13, "revoke": THREE, "suspend": THREE},
                        "case": {"seq": 13, "Revoke": THREE}, "nothing": {}}.items():
        refuse("unknown_event", "event-" + name, "None of the kinds there are, or two of them.",
               message(event, after=12, seq=13))
    refuse("event_order", "order-same", "One number twice.", message(revoke(13, THREE), revoke(13, EIGHT), after=12))
    refuse("event_order", "order-descending", "Numbers that go down.",
           message(revoke(14, THREE), revoke(13, EIGHT), after=12))
    refuse("event_outside", "outside-at-after", "A number that was passed.",
           message(revoke(12, THREE), after=12, seq=14))
    refuse("event_outside", "outside-behind-seq", "A number beyond where the message goes.",
           message(revoke(14, THREE), after=12, seq=13, head=20))
    others = {"id": revoke(13, TEST), "suspended": suspend(13, TEST), "resumed": resume(13, TEST),
              "id-of-a-shorter-name": revoke(13, SHORT),
              "realm": {"seq": 13, "revoke_realm": "acme_test", "issued_before": T},
              "app": {"seq": 13, "revoke_app": APP, "realm": "acme_test", "issued_before": T}}
    for name, event in others.items():
        refuse("event_realm", "realm-of-" + name, "Another realm than the message is about.",
               message(event, after=12, realm="acme_live"), realm="acme_live")


def states():
    refuse("other_realm", "follows-every-realm", "A message about one realm leaves things out.",
           message(revoke(13, THREE), **NEXT, realm="acme_live"))
    refuse("other_realm", "follows-one-realm", "A message about every realm was not asked for.",
           message(revoke(13, THREE), **NEXT), realm="acme_live")
    refuse("other_realm", "follows-another-realm", "A message about another realm.",
           message(**NEXT, realm="acme"), realm="acme_live")
    refuse("other_log", "log-other", "The server began a new log.", message(**NEXT, log_id=OTHER_LOG))
    refuse("other_log", "log-other-from-its-beginning", "A new log counts after the follower has started again alone.",
           message(revoke(1, THREE), log_id=OTHER_LOG))
    refuse("not_next", "next-repeated", "The message that was applied already.", FIRST)
    refuse("not_next", "next-overlaps", "It goes on from a place before.", message(revoke(13, THREE), after=11))
    refuse("not_next", "next-leaves-out", "It goes on from a place behind.", message(revoke(15, THREE), after=13))
    refuse("older", "older", "Made 301 seconds before one that was seen.", message(**NEXT, this_update=T - 301))
    refuse("older", "older-of-another-log", "A log that ended earlier does not begin again.",
           message(log_id=OTHER_LOG, this_update=T - 1))
    refuse("future", "future", "Made 301 seconds from now.", message(**NEXT, this_update=T + 301, next_update=T + 361))
    case("refused/first-not-from-the-beginning.json", "The first message is to come from the beginning.",
         [(message(revoke(13, THREE), after=12), T, "not_next")], [(THREE, T, False)])


# -- Checking and writing -----------------------------------------------------------------------------------
def check_limits():
    """What would make long files."""
    key = base64.b64decode(PUBLIC_KEY)

    def reason(raw):
        try:
            feed.read_message(raw, KEYRING_ID, key)
        except feed.Refused as refused:
            return str(refused)

    events = [revoke(seq, ONE, expires_at=2**32 - 1, effective_at=2**32 - 1) for seq in range(1, 10_002)]
    assert reason(message(*events[:-1])) is None
    assert reason(message(*events)) == "too_many_events"
    padding = feed.MAX_BYTES - len(message())
    blank = lines(line(head()).decode().replace("{", "{" + " " * padding, 1))
    assert len(blank) == feed.MAX_BYTES and reason(blank) is None
    assert reason(b" " + blank) == "too_long"


def check_page():
    """The page and this program have the same messages."""
    page = PAGE.read_text(encoding="utf-8")
    for worked_message in (WORKED_1, WORKED_2, WORKED_3, WORKED_4):
        block = "".join(f"    {text}\n" for text in worked_message.decode().splitlines())
        assert block in page, f"docs/FEED.md lacks\n{block}"
    signed = WORKED_1[:WORKED_1.rindex(b"{")]
    for value in (PUBLIC_KEY, base64.b64decode(PUBLIC_KEY).hex(), (LABEL + KEYRING_ID).hex(), str(len(signed)),
                  signature(signed).hex()):
        assert value in "".join(page.split()) or value in page, f"docs/FEED.md lacks {value}"
    steps = [step for vector in cases.values() for step in vector["steps"] if "expect" in step]
    for reason in {step["expect"]["refused"] for step in steps}:
        assert reason is None or f"`{reason}`" in page, f"docs/FEED.md lacks the reason {reason}"


def main():
    for group in (worked, json_accepted, reading_on, clocks_ahead, scheduled, suspended, restarts, live_sets, snapshots, versions, rules,
                  unsigned, signatures,
                  not_objects, fields, values, meaning, states):
        group()
    check_limits()
    if "--worked" in sys.argv[1:]:
        for worked_message in (WORKED_1, WORKED_2, WORKED_3, WORKED_4):
            print("".join(f"    {text}\n" for text in worked_message.decode().splitlines()))
        signed = WORKED_1[:WORKED_1.rindex(b"{")]
        print(PUBLIC_KEY, base64.b64decode(PUBLIC_KEY).hex(), (LABEL + KEYRING_ID).hex(), len(signed),
              signature(signed).hex())
        return
    check_page()

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
