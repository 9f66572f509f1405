"""bulla for Python: API keys verified in process, by the C library (docs/EMBEDDING.md).

    library = load("target/release/libbulla.so")
    gate = Gate(library, "demo/gate.toml")
    route = gate.route("realm:live,scope:orders.read")
    gate.start()                                  # in the process that serves, after the last fork
    answer = route.check({"Authorization": "Bearer …"}, int(time.time()))
    if answer.is_accepted: print(answer.app_id, answer.headers)
"""

import uuid
from ctypes import CDLL, POINTER, Structure, addressof, byref, c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint16, c_uint32
from ctypes import c_uint64, c_void_p, create_string_buffer, string_at
from dataclasses import dataclass

ABI = 2
ACCEPTED, REJECTED, COULD_NOT_TELL, FAILED = range(4)
API_KEY_ID_SIZE, ERROR_SIZE = 48, 256
HEADERS = ["x-bulla-app-id", "x-bulla-api-key-id", "x-bulla-realm", "x-bulla-scopes", "x-bulla-expires-at", "x-bulla-assertion"]


class File(Structure):
    _fields_ = [("name", c_char_p), ("bytes", c_void_p), ("len", c_size_t), ("fd", c_int)]


class Header(Structure):
    _fields_ = [("name", c_char_p), ("name_len", c_size_t), ("value", c_char_p), ("value_len", c_size_t)]


class Found(Structure):
    _fields_ = [
        ("issued_at", c_uint64), ("expires_at", c_uint64), ("challenge", c_char_p), ("version", c_uint32), ("status", c_uint16),
        ("audiences_len", c_uint16), ("meta_len", c_uint16), ("app_uuid", c_uint8 * 16), ("app_id", c_char * 37),
        ("api_key_id", c_char * API_KEY_ID_SIZE), ("realm", c_char * 25), ("scopes", c_char * 241), ("expires", c_char * 32),
        ("audiences", c_char * 241), ("meta", c_char * 241), ("reason", c_char * 32),
    ]


class Status(Structure):
    _fields_ = [
        *((name, c_uint64) for name in ["accepted", "rejected", "could_not_tell", "feed_age", "seq", "revocations", "keyring_serial"]),
        ("refused_messages", c_uint64), ("failures", c_uint32), ("started_in", c_uint32), ("forked", c_uint32),
        ("error", c_char * ERROR_SIZE),
    ]


@dataclass
class Answer:
    """What becomes of a request. All but status, reason and challenge is empty unless the key is accepted."""

    is_accepted: bool
    status: int
    reason: str  # for logs, never for the client
    challenge: str | None
    app_id: uuid.UUID
    api_key_id: str
    realm: str
    version: int
    issued_at: int
    expires_at: int
    scopes: list
    audiences: list
    meta: dict
    headers: dict


def load(path):
    """The library at `path`, if it fits this module."""
    library = CDLL(path)
    out, room = [POINTER(c_void_p), c_char_p, c_size_t], [c_char_p, c_size_t]
    asked = [c_char_p, c_uint64, c_void_p]
    for name, result, arguments in [
        ("abi", c_uint32, []),
        ("gate_open", c_int, [c_char_p, *out]),
        ("gate_open_text", c_int, [c_char_p, c_size_t, c_char_p, c_void_p, c_size_t, *out]),
        ("gate_free", None, [c_void_p]),
        ("gate_start", c_int, [c_void_p, *room]),
        ("gate_stop", None, [c_void_p]),
        ("gate_reload", c_int, [c_void_p, *room]),
        ("gate_question", c_int, [c_void_p, c_uint32, *room]),
        ("gate_apply", c_int, [c_void_p, c_char_p, c_size_t, c_uint64, *room]),
        ("gate_tick", None, [c_void_p, c_uint64]),
        ("gate_status", c_int, [c_void_p, c_uint64, c_void_p]),
        ("expected_open", c_int, [c_void_p, c_char_p, *out]),
        ("expected_header", c_char_p, [c_void_p, c_size_t]),
        ("expected_free", None, [c_void_p]),
        ("check", c_int, [c_void_p, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, *asked]),
        ("check_headers", c_int, [c_void_p, c_void_p, c_void_p, c_size_t, *asked]),
        ("verify", c_int, [c_void_p, c_void_p, c_char_p, c_size_t, *asked]),
        ("verify_batch", c_int, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, *asked]),
        ("answer_header", c_int, [c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_char_p)]),
        ("api_key_id", c_int, [c_char_p, c_size_t, c_char_p]),
    ]:
        function = getattr(library, f"bulla{ABI}_{name}")
        function.restype, function.argtypes = result, arguments
    if library.bulla2_abi() != ABI:
        raise RuntimeError(f"{path} has another ABI than {ABI}")
    return library


def done(call, *arguments):
    """What a function returns that tells why it failed."""
    error = create_string_buffer(ERROR_SIZE)
    status = call(*arguments, error, len(error))
    if status == FAILED:
        raise RuntimeError(error.value.decode())
    return status


class Gate:
    """Verifies API keys by one set of settings. Any number of threads may use it."""

    def __init__(self, library, path=None, text=None, folder="", files=None):
        """By a file, or by a text; `files` has contents in the place of files on the disk."""
        self.functions, self.handle = library, c_void_p()
        if text is None:
            done(library.bulla2_gate_open, path.encode(), byref(self.handle))
            return
        files = files or {}
        rooms = [create_string_buffer(content, max(len(content), 1)) for content in files.values()]
        array = (File * len(files))(
            *(File(name.encode(), addressof(room), len(files[name]), -1) for name, room in zip(files, rooms))
        )
        text = text.encode()
        done(library.bulla2_gate_open_text, text, len(text), folder.encode(), array, len(files), byref(self.handle))

    def __del__(self):
        self.functions.bulla2_gate_free(self.handle)

    def start(self):
        """Follows the feed on threads. Call it in the process that serves, after the last fork."""
        done(self.functions.bulla2_gate_start, self.handle)

    def stop(self):
        self.functions.bulla2_gate_stop(self.handle)

    def reload(self):
        done(self.functions.bulla2_gate_reload, self.handle)

    def question(self, wait=0):
        """Path and query of the feed's next message, for a program that fetches it itself."""
        path = create_string_buffer(128)
        if self.functions.bulla2_gate_question(self.handle, wait, path, len(path)) != ACCEPTED:
            raise RuntimeError("the gate follows no feed")
        return path.value.decode()

    def apply(self, message, now):
        """Applies such a message (bytes). Whether there is more to fetch at once."""
        return done(self.functions.bulla2_gate_apply, self.handle, message, len(message), now) == REJECTED

    def tick(self, now):
        self.functions.bulla2_gate_tick(self.handle, now)

    def status(self, now):
        status = Status()
        self.functions.bulla2_gate_status(self.handle, now, byref(status))
        return status

    def route(self, requirements):
        return Route(self, requirements)


class Route:
    """What a route requires. It is a copy, and keeps its gate."""

    def __init__(self, gate, requirements):
        self.gate, self.functions, self.handle = gate, gate.functions, c_void_p()
        done(self.functions.bulla2_expected_open, gate.handle, requirements.encode(), byref(self.handle))

    def __del__(self):
        self.functions.bulla2_expected_free(self.handle)

    def headers(self):
        """The names of the headers that the key is read from: remove them from what goes on."""
        names = iter(range(64))
        return [name.decode() for name in iter(lambda: self.functions.bulla2_expected_header(self.handle, next(names)), None)]

    def check(self, headers, now, address=None):
        """May a request with these headers (a dictionary, or pairs) go on?"""
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in getattr(headers, "items", lambda: headers)()]
        array = (Header * len(pairs))(*(Header(name, len(name), value, len(value)) for name, value in pairs))
        return self._asked(self.functions.bulla2_check_headers, array, len(pairs), address=address, now=now)

    def verify(self, api_key, now, address=None):
        """The same for a text (bytes) that is the API key already."""
        return self._asked(self.functions.bulla2_verify, api_key, len(api_key), address=address, now=now)

    def _asked(self, function, *what, address, now):
        found = Found()
        address = None if address is None else address.encode()
        status = function(self.gate.handle, self.handle, *what, address, now, byref(found))
        if status == FAILED:
            raise RuntimeError(found.reason.decode())
        return self._answer(status, found)

    def _answer(self, status, found):
        texts = lambda name, count: string_at(addressof(found) + getattr(Found, name).offset, 241).split(b"\0")[:count]
        meta = [text.decode() for text in texts("meta", 2 * found.meta_len)]
        values = [found.app_id, found.api_key_id, found.realm, found.scopes, found.expires, b""]
        accepted = status == ACCEPTED
        return Answer(
            accepted, found.status, found.reason.decode(), found.challenge and found.challenge.decode(),
            uuid.UUID(bytes=bytes(found.app_uuid)), found.api_key_id.decode(), found.realm.decode(), found.version,
            found.issued_at, found.expires_at, found.scopes.decode().split(),
            [text.decode() for text in texts("audiences", found.audiences_len)], dict(zip(meta[::2], meta[1::2])),
            {name: value.decode() for name, value in zip(HEADERS, values)} if accepted else {},
        )


def api_key_id(library, api_key):
    """The id of a text (bytes) that has the shape of an API key, or None. It proves nothing."""
    room = create_string_buffer(API_KEY_ID_SIZE)
    return room.value.decode() if library.bulla2_api_key_id(api_key, len(api_key), room) == ACCEPTED else None
