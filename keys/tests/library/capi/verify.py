"""Reads cases, one in a line, verifies each through libbulla by ctypes, and prints what came out, as verify.c does."""

import sys
from ctypes import CDLL, POINTER, Structure, byref, c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from ctypes import create_string_buffer

TEXTS = POINTER(c_char_p)


class Keyring(Structure):
    _fields_ = [
        ("keyring", c_char_p), ("mac_source", c_char_p), ("folder", c_char_p),
        ("realms", TEXTS), ("realms_len", c_size_t),
        ("secret_realms", TEXTS), ("secret_realms_len", c_size_t),
        ("trusted_sources", TEXTS), ("trusted_sources_len", c_size_t),
    ]


class Expected(Structure):
    _fields_ = [
        ("realms", TEXTS), ("realms_len", c_size_t),
        ("scopes", TEXTS), ("scopes_len", c_size_t),
        ("audience", c_char_p), ("address", c_char_p),
    ]


class Verified(Structure):
    _fields_ = [
        ("issued_at", c_uint64), ("expires_at", c_uint64), ("version", c_uint32), ("app_id", c_uint8 * 16),
        ("api_key_id", c_char * 48), ("realm", c_char * 25), ("scopes", c_char * 241), ("reason", c_char * 32),
    ]


bulla = CDLL(sys.argv[1])
bulla.bulla_abi.restype = c_uint32
bulla.bulla_verifier_open.argtypes = [POINTER(Keyring), POINTER(c_void_p), c_char_p, c_size_t]
bulla.bulla_verifier_free.argtypes = [c_void_p]
bulla.bulla_verifier_free.restype = None
bulla.bulla_verify.argtypes = [c_void_p, c_char_p, c_size_t, POINTER(Expected), c_uint64, POINTER(Verified)]
bulla.bulla_verify.restype = c_int
bulla.bulla_api_key_id.argtypes = [c_char_p, c_size_t, c_char_p]
assert bulla.bulla_abi() == 1


def text(field):
    return None if field == "-" else bytes.fromhex(field)


def texts(field):
    items = [text(item) for item in field.split(",")] if field else []
    return (c_char_p * len(items))(*items), len(items)


def open_verifier(folder, realms, realms_len, **more):
    keyring = Keyring(b"keyring.toml", b"file:mac.key", folder.encode(), realms, realms_len, **more)
    verifier, error = c_void_p(), create_string_buffer(256)
    if bulla.bulla_verifier_open(byref(keyring), byref(verifier), error, len(error)) != 0:
        raise ValueError(error.value.decode())
    return verifier


for line in sys.stdin:
    folder, realms, scopes, audience, address, now, api_key = line.rstrip("\n").split("\t")
    (realms, realms_len), (scopes, scopes_len), api_key = texts(realms), texts(scopes), text(api_key)
    expected = Expected(realms, realms_len, scopes, scopes_len, text(audience), text(address))
    verifier = open_verifier(folder, realms, realms_len)
    verified, key_id = Verified(), create_string_buffer(48)
    status = bulla.bulla_verify(verifier, api_key, len(api_key), byref(expected), int(now), byref(verified))
    id_status = bulla.bulla_api_key_id(api_key, len(api_key), key_id)
    said = [status, verified.reason.decode(), verified.api_key_id.decode(), verified.realm.decode(), verified.version]
    said += [bytes(verified.app_id).hex(), verified.issued_at, verified.expires_at, verified.scopes.decode()]
    print(*said, id_status, key_id.value.decode(), sep="\t")

    # A realm that requires a secret half, and arguments that are none.
    secret = open_verifier(folder, realms, realms_len, secret_realms=realms, secret_realms_len=realms_len)
    strict = bulla.bulla_verify(secret, api_key, len(api_key), byref(expected), int(now), byref(verified))
    assert strict == (2 if status == 0 or verified.reason == b"secret_unchecked" else status), (line, strict, status)
    for field, value, reason in [("address", b"x", b"not_an_address"), ("audience", b"\xff", b"not_utf8")]:
        wrong = Expected(realms, realms_len, scopes, scopes_len, text(audience), text(address))
        setattr(wrong, field, value)
        assert bulla.bulla_verify(verifier, api_key, len(api_key), byref(wrong), int(now), byref(verified)) == 3
        assert verified.reason == reason and not verified.api_key_id, (field, verified.reason)
    for handle in (verifier, secret):
        bulla.bulla_verifier_free(handle)

try:
    open_verifier(folder, realms, realms_len, trusted_sources=texts("61")[0], trusted_sources_len=1)
except ValueError as error:
    assert "trusted" in str(error), error
else:
    raise AssertionError("a source that is not trusted was opened")
