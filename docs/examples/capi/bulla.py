"""bulla for Python: API keys verified in process, by the C library (docs/EMBEDDING.md).

    library = load("target/release/libbulla.so")
    verifier = Verifier(library, "demo", realms=["live"])
    verdict = verifier.verify(api_key, int(time.time()), scopes=["orders.read"])
    if verdict.status == ACCEPTED: print(verdict.app_id)
"""

import uuid
from ctypes import CDLL, POINTER, Structure, byref, c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from ctypes import create_string_buffer
from dataclasses import dataclass

ABI = 1
ACCEPTED, REJECTED, COULD_NOT_TELL, FAILED = range(4)
API_KEY_ID_SIZE = 48
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
        ("api_key_id", c_char * API_KEY_ID_SIZE), ("realm", c_char * 25), ("scopes", c_char * 241), ("reason", c_char * 32),
    ]


@dataclass
class Verdict:
    """What a verification says. All but status and reason is empty unless the key is accepted."""

    status: int
    reason: str
    api_key_id: str
    realm: str
    version: int
    app_id: uuid.UUID
    issued_at: int
    expires_at: int
    scopes: list


def load(path):
    """The library at `path`, if it fits this module."""
    library = CDLL(path)
    library.bulla_abi.restype = c_uint32
    if library.bulla_abi() != ABI:
        raise RuntimeError(f"{path} has another ABI than {ABI}")
    library.bulla_verifier_open.argtypes = [POINTER(Keyring), POINTER(c_void_p), c_char_p, c_size_t]
    library.bulla_verifier_free.argtypes = [c_void_p]
    library.bulla_verifier_free.restype = None
    library.bulla_verify.argtypes = [c_void_p, c_char_p, c_size_t, POINTER(Expected), c_uint64, POINTER(Verified)]
    library.bulla_verify.restype = c_int
    library.bulla_api_key_id.argtypes = [c_char_p, c_size_t, c_char_p]
    library.bulla_api_key_id.restype = c_int
    return library


def texts(items):
    """An array for C, and its length."""
    items = [item.encode() for item in items]
    return (c_char_p * len(items))(*items), len(items)


def optional(item):
    return None if item is None else item.encode()


class Verifier:
    """Verifies the API keys of one keyring. Any number of threads may use it."""

    def __init__(self, library, folder, realms, mac_source="file:keyring-mac.key", secret_realms=(), trusted_sources=None):
        self.functions, self.realms, self.handle = library, texts(realms), c_void_p()
        trusted = (None, 0) if trusted_sources is None else texts(trusted_sources)
        keyring = Keyring(b"keyring.toml", mac_source.encode(), folder.encode(), *self.realms, *texts(secret_realms), *trusted)
        error = create_string_buffer(512)
        if library.bulla_verifier_open(byref(keyring), byref(self.handle), error, len(error)) != ACCEPTED:
            raise RuntimeError(error.value.decode())

    def __del__(self):
        self.functions.bulla_verifier_free(self.handle)

    def verify(self, api_key, now, scopes=(), audience=None, address=None):
        """Verifies `api_key` (bytes) at `now` (Unix seconds)."""
        expected, found = Expected(*self.realms, *texts(scopes), optional(audience), optional(address)), Verified()
        status = self.functions.bulla_verify(self.handle, api_key, len(api_key), byref(expected), now, byref(found))
        return Verdict(
            status, found.reason.decode(), found.api_key_id.decode(), found.realm.decode(), found.version,
            uuid.UUID(bytes=bytes(found.app_id)), found.issued_at, found.expires_at, found.scopes.decode().split(),
        )


def api_key_id(library, api_key):
    """The id of a text (bytes) that has the shape of an API key, or None. It proves nothing."""
    room = create_string_buffer(API_KEY_ID_SIZE)
    return room.value.decode() if library.bulla_api_key_id(api_key, len(api_key), room) == ACCEPTED else None
