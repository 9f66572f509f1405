"""Reads cases, one in a line, verifies each by docs/examples/capi/bulla.py, and prints what came out, as verify.c does."""

import sys
from ctypes import byref

sys.path.insert(0, sys.argv[1])
import bulla

library = bulla.load(sys.argv[2])


def text(field):
    return None if field == "-" else bytes.fromhex(field)


def texts(field):
    return [text(item).decode() for item in field.split(",")] if field else []


for line in sys.stdin:
    folder, realms, scopes, audience, address, now, api_key = line.rstrip("\n").split("\t")
    realms, scopes, api_key, now = texts(realms), texts(scopes), text(api_key), int(now)
    audience, address = (None if field is None else field.decode() for field in (text(audience), text(address)))
    verifier = bulla.Verifier(library, folder, realms, "file:mac.key")
    verdict = verifier.verify(api_key, now, scopes, audience, address)
    key_id = bulla.api_key_id(library, api_key)
    said = [verdict.status, verdict.reason, verdict.api_key_id, verdict.realm, verdict.version, verdict.app_id.hex]
    said += [verdict.issued_at, verdict.expires_at, " ".join(verdict.scopes), 1 if key_id is None else 0, key_id or ""]
    print(*said, sep="\t")

    # A realm that requires a secret half.
    strict = bulla.Verifier(library, folder, realms, "file:mac.key", secret_realms=realms, trusted_sources=["file:"])
    untold = bulla.COULD_NOT_TELL if verdict.status == bulla.ACCEPTED or verdict.reason == "scope" else verdict.status
    assert strict.verify(api_key, now, scopes, audience, address).status == untold, line

    # Arguments that are none.
    realms_array, realms_len = bulla.texts(realms)
    for more, reason in [({"address": b"x"}, b"not_an_address"), ({"audience": b"\xff"}, b"not_utf8")]:
        wrong, verified = bulla.Expected(realms_array, realms_len, **more), bulla.Verified()
        assert library.bulla_verify(verifier.handle, api_key, len(api_key), byref(wrong), now, byref(verified)) == bulla.FAILED
        assert verified.reason == reason and not verified.api_key_id, (more, verified.reason)

for more, told in [({"trusted_sources": ["exec:"]}, "trusted"), ({"secret_realms": ["other"]}, "secret_realms has other")]:
    try:
        bulla.Verifier(library, folder, realms, "file:mac.key", **more)
    except RuntimeError as error:
        assert told in str(error), error
    else:
        raise AssertionError(f"opened with {more}")
