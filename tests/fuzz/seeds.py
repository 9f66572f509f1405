"""Writes tests/fuzz/corpus and tests/fuzz/sealed.txt from tests/vectors and tests/vectors-feed, the same bytes at every run.

The reference implementation takes the keys apart, so nothing here asks the code under test. It needs the package
`cryptography`. sealed.txt holds realm and body of every key of the vectors that is genuine under the keyring of the target
api_key: what a verifier accepts is one of these, or forged.
"""

import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "reference"))
import bulla_reference as bulla  # noqa: E402

KEYRING_ID = bytes(range(0xA0, 0xB0))
VERSIONS = {7: (1, bytes(range(0x00, 0x20))), 8: (2, bytes(range(0x60, 0x80)))}
REALMS = ["acme", "acme_live"]

AS_IT_STANDS, SIGNED, BYTES = b"0", b"1", b"2"  # the targets look at the lowest two bits
CALLER_SPEAKS, ONE_REALM, SCOPE_WANTED = 4, 8, 64

vectors = {path.stem: json.loads(path.read_text()) for path in sorted((HERE.parent / "vectors").glob("*/*.json"))}


def pick(*beginnings):
    return {name: vector for name, vector in vectors.items() if name.startswith(beginnings)}


def write(target, seeds):
    folder = HERE / "corpus" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = set()
    for name, content in seeds:
        if content not in written:
            (folder / name).write_bytes(content)
            written.add(content)
    print(f"{target}: {len(written)} seeds, {sum(map(len, written))} bytes")


# -- API keys -----------------------------------------------------------------------------------------------
def taken_apart(vector):
    """(realm, body's text, body, secret), or None where the text has not the shape of an API key."""
    try:
        return bulla.parse(vector["api_key"])
    except bulla.Refused:
        return None


def plaintext(vector):
    """What lies under the seal, or None. The masters are the vector's own."""
    parts = taken_apart(vector)
    if parts is None:
        return None
    realm, _, body, _ = parts
    number, keyring_id = int.from_bytes(body[:4], "big"), bytes.fromhex(vector["keyring_id"])
    for entry in vector["versions"]:
        if entry["version"] == number:
            try:
                return bulla.unseal(keyring_id, entry["suite"], number, bytes.fromhex(entry["master"]), realm, body)
            except bulla.Refused:
                return None


def is_sealed(realm, body):
    number = int.from_bytes(body[:4], "big")
    if number not in VERSIONS or realm not in REALMS:
        return False
    try:
        bulla.unseal(KEYRING_ID, VERSIONS[number][0], number, VERSIONS[number][1], realm, body)
    except bulla.Refused:
        return False
    return True


def sealed():
    parts = filter(None, map(taken_apart, vectors.values()))
    lines = {f"{realm}_{text}" for realm, text, body, _ in parts if is_sealed(realm, body)}
    (HERE / "sealed.txt").write_text("".join(line + "\n" for line in sorted(lines)))
    print(f"sealed.txt: {len(lines)} keys")


def api_keys():
    speaking = bytes([AS_IT_STANDS[0] ^ 0x30 | CALLER_SPEAKS])
    wanting = bytes([AS_IT_STANDS[0] ^ 0x30 | SCOPE_WANTED])
    for name, vector in pick("worked-", "realm-", "secret-", "version-staged", "claims-240", "length-5", "length-85",
                             "body-", "seal-s", "seal-v", "checksum-multi", "checksum-over").items():
        yield name, AS_IT_STANDS + vector["api_key"].encode()
    for name, vector in pick("address-v4", "audience-text", "order-s").items():
        yield f"{name}-caller-speaks", speaking + vector["api_key"].encode()
    for name, vector in pick("scope-one", "scope-missing").items():
        yield f"{name}-wanted", wanting + vector["api_key"].encode()
    for name, vector in pick("structure-", "base62-first", "base62-impossible", "alphabet-").items():
        yield f"{name}-signed", SIGNED + vector["api_key"].encode()
    for name, vector in pick("worked-", "secret-", "seal-flipped-v", "version-").items():
        parts = taken_apart(vector)
        if parts and parts[0] in REALMS:
            realm, _, body, secret = parts
            flags = REALMS.index(realm) | (4 if secret else 0)
            yield f"{name}-bytes", BYTES + bytes([flags]) + body + (secret or b"")


# -- Claims -------------------------------------------------------------------------------------------------
def claims():
    for name, vector in vectors.items():
        content = plaintext(vector)
        if content and content[24:]:
            yield name, content[24:]


# -- Keyring documents --------------------------------------------------------------------------------------
HEAD = 'format = 1\nkeyring_id = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"\nserial = 3\n'
SUITES = {1: "aes-256-gcm", 2: "xaes-256-gcm"}
TIME = "2026-11-18T08:53:20Z"


def version(number=7, suite="aes-256-gcm", state="active", value="70b2c58fcd188361", more="", uris=("file:master-7.key",)):
    sources = "".join(f'\n[[version.source]]\nuri = "{uri}"\n' for uri in uris) or "source = []\n"
    return (f'\n[[version]]\nnumber = {number}\nstate = "{state}"\nsuite = "{suite}"\ncreated_at = "{TIME}"\n'
            f'key_check_value = "{value}"\n{more}{sources}')


def keyring_of(vector):
    text = f'format = 1\nkeyring_id = "{vector["keyring_id"]}"\nserial = {len(vector["versions"])}\n'
    for entry in vector["versions"]:
        value = bulla.key_check_value(bytes.fromhex(vector["keyring_id"]), entry["version"], bytes.fromhex(entry["master"]))
        # The limits of the vectors lie within ten seconds of 2027-01-15T08:00:00Z.
        limit = entry["verify_until"]
        more = f'verify_until = "2027-01-15T08:00:0{limit - 1800000000}Z"\n' if limit else ""
        text += version(entry["version"], SUITES[entry["suite"]], entry["state"], value.hex(), more)
    return text


def keyrings():
    for name, vector in vectors.items():
        yield name, SIGNED + keyring_of(vector).encode()
    whole = HEAD + version() + "\n[mac]\n"
    bodies = {
        "no-versions": HEAD,
        "times": HEAD + version(more=f'activated_at = "{TIME}"\nseal_until = "2027-01-01T00:00:00+01:00"\n'
                                     'verify_until = "2027-06-01T00:00:00.123456789Z"\n'),
        "time-as-toml": HEAD + version().replace(f'"{TIME}"', TIME),
        "time-leap-second": HEAD + version().replace("53:20Z", "59:60Z"),
        "time-before-1970": HEAD + version(more='verify_until = "-009999-01-02T01:59:59Z"\n'),
        "wrapped": HEAD + version(uris=("aws-kms:alias/bulla",)) + 'wrapped = "AQIDBA=="\n',
        "two-sources": HEAD + version(uris=("pkcs11:token=bulla;object=m7", "vault-transit:transit/bulla-7")),
        "exec": HEAD + version(uris=("exec:/usr/bin/false a b",)),
        "no-source-destroyed": HEAD + version(state="destroyed", uris=()),
        "no-source-active": HEAD + version(uris=()),
        "two-active": HEAD + version() + version(8),
        "number-twice": HEAD + version() + version(state="staged"),
        "number-0": HEAD + version(0),
        "number-beyond-32-bits": HEAD + version(2**32),
        "serial-greatest": HEAD.replace("= 3", f"= {2**63 - 1}") + version(),
        "serial-beyond-64-bits": HEAD.replace("= 3", f"= {2**64 - 1}"),
        "serial-negative": HEAD.replace("= 3", "= -1"),
        "id-upper-case": HEAD.replace("a0a1a2", "A0A1A2"),
        "format-2": HEAD.replace("format = 1", "format = 2") + 'new = "field"\n',
        "unknown-field": HEAD + "colour = 1\n",
        "inline-tables": HEAD + 'version = [{number = 1, state = "staged", suite = "aes-256-gcm", created_at = "'
                         + TIME + '", key_check_value = "0011223344556677", source = [{uri = "file:k"}]}]\n',
        "literal-strings": HEAD.replace('"', "'"),
        "escapes": HEAD + version(uris=(r"file:\u006b\U0001F511\\ \"",)),
        "multi-line-strings": HEAD.replace('"a0', '"""\\\n   a0').replace('af"', 'af"""'),
        "dotted-keys": HEAD.replace("serial = 3", "serial = 0x3") + "mac.colour = 1\n",
        "carriage-returns": (HEAD + version()).replace("\n", "\r\n"),
        "byte-order-mark": "\ufeff" + HEAD,
        "control-in-uri": HEAD + version(uris=(r"file:a\u0000b",)),
        "uri-without-scheme": HEAD + version(uris=("master-7.key",)),
        "deep": HEAD + "a = " + "[" * 60 + "]" * 60 + "\n",
    }
    for name, text in bodies.items():
        yield name, SIGNED + text.encode()
    yield "whole", BYTES + (whole + 'hmac_sha256 = "00"\n').encode()
    yield "whole-line-end-missing", BYTES + (whole + 'hmac_sha256 = "00"').encode()
    yield "whole-two-mac-lines", BYTES + (whole + f'hmac_sha256 = "{"00" * 32}"\nhmac_sha256 = "00"\n').encode()
    yield "whole-wrong-mac", AS_IT_STANDS + (whole + f'hmac_sha256 = "{"5a" * 32}"\n').encode()


# -- Bodies of POST /v1/verify ------------------------------------------------------------------------------
def bodies():
    for name, vector in pick("worked-", "realm-2", "scope-all", "audience-array", "address-v6.", "address-v4", "secret-any",
                             "alphabet-", "structure-501", "claims-240-bytes-suite-2", "realm-one").items():
        names = {"api_key": "api_key", "realms": "realms", "scopes": "scopes", "audience": "audience", "ip": "ip"}
        body = {field: vector[given] for field, given in names.items() if vector[given] not in (None, [])}
        yield name, json.dumps(body, separators=(",", ":")).encode()
    plain = vectors["worked-1-plain"]["api_key"]
    served = {}
    for realm, number, suite in ("live", 1, 1), ("test", 1, 1), ("bulla", 1, 1), ("live", 2, 2), ("other", 1, 1):
        body = bulla.seal(KEYRING_ID, suite, number, bytes(32), realm, bytes(24), bytes(bulla.NONCE[suite]))
        served[f"{realm}-{number}"] = bulla.write(realm, body)
    served["live-secret"] = bulla.write("live", body, bytes(32))
    for name, key in served.items():
        yield f"realm-{name}", json.dumps({"api_key": key}).encode()
    yield "realm-named", json.dumps({"api_key": served["bulla-1"], "realms": ["bulla", "live", "live"]}).encode()
    for name, body in {
        "empty": "", "empty-object": "{}", "null": "null", "array": f'["{plain}"]',
        "array-of-fields": f'["{plain}",[],[],null,null]',
        "text": f'"{plain}"', "cut": f'{{"api_key":"{plain[:40]}', "behind": f'{{"api_key":"{plain}"}}{{}}',
        "space": f' \t\r\n{{ "api_key" : "{plain}" }}\n', "unknown": f'{{"api_key":"{plain}","key":1}}',
        "twice": f'{{"api_key":"{plain}","api_key":"{plain}"}}', "key-null": '{"api_key":null}',
        "key-number": '{"api_key":-1.5e300}',
        "escapes": r'{"\u0061pi_key":"\ud83d\udd11\n\u0000\/"}', "lone-surrogate": r'{"api_key":"\ud83d"}',
        "realms-bad": f'{{"api_key":"{plain}","realms":["Acme"]}}', "realms-empty": f'{{"api_key":"{plain}","realms":[]}}',
        "realms-null": f'{{"api_key":"{plain}","realms":null}}', "scopes-text": f'{{"api_key":"{plain}","scopes":"read"}}',
        "ip-bad": f'{{"api_key":"{plain}","ip":"10.1.2.3/8"}}', "ip-zone": f'{{"api_key":"{plain}","ip":"fe80::1%eth0"}}',
        "ip-mapped": f'{{"api_key":"{plain}","ip":"::ffff:10.1.2.3"}}',
        "nulls": f'{{"api_key":"{plain}","audience":null,"ip":null}}',
        "deep": "[" * 200 + "]" * 200, "key-empty": '{"api_key":""}', "byte-order-mark": "\ufeff{}",
    }.items():
        yield f"json-{name}", body.encode()
    yield "json-not-utf-8", b'{"api_key":"\xc3\x28"}'
    yield "too-large", b"\xff" + json.dumps({"api_key": plain}).encode()


# -- Messages of the feed -----------------------------------------------------------------------------------
def feeds():
    for path in sorted((HERE.parent / "vectors-feed").glob("*/*.json")):
        for number, step in enumerate(json.loads(path.read_text())["steps"], 1):
            message = step.get("message", "")
            if '"signature"' in message:
                yield f"{path.stem}-{number}", SIGNED + message[: message.rindex('{"signature"')].encode()
    yield "whole", AS_IT_STANDS + message.encode()


# -- Stored hashes ------------------------------------------------------------------------------------------
def hashes():
    salt, digest = "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    for name, text in {
        "hmac": f"$hmac-sha256$keyid=AAAAAQ$-${digest}",
        "hmac-with-salt": f"$hmac-sha256$keyid=AAAAAQ${salt}${digest}",
        "argon2id": f"$argon2id$v=19$m=65536,t=3,p=4,keyid=AAAAAQ${salt}${digest}",
        "owasp": f"$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAg${salt}${digest}",
        "no-version": f"$argon2id$m=65536,t=3,p=4,keyid=AAAAAQ${salt}${digest}",
        "pepper-0": f"$hmac-sha256$keyid=AAAAAA$-${digest}",
        "order": f"$argon2id$v=19$t=3,m=65536,p=4,keyid=AAAAAQ${salt}${digest}",
        "too-dear": f"$argon2id$v=19$m=4294967295,t=3,p=4,keyid=AAAAAQ${salt}${digest}",
        "trailing-bits": f"$hmac-sha256$keyid=AAAAAR$-${digest}",
    }.items():
        yield name, text.encode()


# -- The admin plane ----------------------------------------------------------------------------------------
APP = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"


def admin_bodies():
    issue, batch, suspend, resume, reroll, reroll_secret, reveal, revocations, stage, activate, destroy, keys, audit, revoke = (
        bytes([number]) for number in range(14))
    new = {"realm": "live", "app_id": APP, "name": "a note", "expires_in": "90d", "scopes": ["orders.read"],
           "audience": ["shop"], "cidr": ["10.0.0.0/8", "2001:db8::/32"], "meta": {"plan": "gold"}, "secret": True}
    for name, endpoint, body in [
        ("issue", issue, new), ("issue-least", issue, {"realm": "live", "app_id": APP}),
        ("issue-at", issue, {"realm": "test", "app_id": APP, "expires_at": "2030-01-31T12:00:00Z", "audience": "shop"}),
        ("issue-last", issue, {"realm": "live", "app_id": APP, "expires_at": "2106-02-07T06:28:15Z"}),
        ("issue-too-late", issue, {"realm": "live", "app_id": APP, "expires_at": "9999-12-30T22:00:00Z"}),
        ("issue-long", issue, {"realm": "live", "app_id": APP, "expires_in": "9223372036854775807s"}),
        ("issue-bulla", issue, {"realm": "bulla", "app_id": APP, "expires_in": "never", "scopes": ["admin", "issue:live"]}),
        ("batch", batch, {"api_keys": [new, {"realm": "live", "app_id": APP, "expires_in": "1h"}]}),
        ("batch-empty", batch, {"api_keys": []}),
        ("suspend", suspend, {"reason": "leaked"}), ("suspend-empty", suspend, {}), ("resume", resume, {"reason": ""}),
        ("reroll", reroll, {"grace": "7d", "expires_in": "1d", "reason": "rotation"}),
        ("reroll-long", reroll, {"grace": "36500d"}), ("reroll-longest", reroll, {"grace": "9223372036854775807s"}),
        ("reroll-at", reroll, {"grace": "0s", "expires_at": "2030-01-31T12:00:00Z"}),
        ("reroll-secret", reroll_secret, {"grace": "1d12h"}), ("reroll-secret-long", reroll_secret, {"grace": "2000000d"}),
        ("reveal", reveal, {"reason": "lost"}),
        ("revoke-ids", revocations, {"ids": ["live_00000XzbyFf5rOyRXQyt8V"], "reason": "leaked"}),
        ("revoke-app", revocations, {"app_id": APP, "realm": "live", "issued_before": "2026-11-27T09:00:00Z"}),
        ("revoke-app-now", revocations, {"app_id": APP}),
        ("revoke-realm", revocations, {"realm": "test", "issued_before": "1970-01-01T00:00:00.5Z"}),
        ("revoke-late", revocations, {"realm": "test", "issued_before": "2106-02-07T06:28:16Z"}),
        ("stage", stage, {"sources": ["file:master-1.key"], "suite": "xaes-256-gcm"}),
        ("stage-exec", stage, {"sources": ["exec:/bin/true"]}),
        ("activate", activate, {"rollback": True, "require_loaded": True}), ("destroy", destroy, {}),
    ]:
        yield name, endpoint + json.dumps(body, separators=(",", ":")).encode()
    for name, endpoint, query in [
        ("list", keys, f"app_id={APP}&realm=live&limit=10&cursor=0"), ("list-empty", keys, "app_id=&realm=&limit="),
        ("audit", audit, "after=1&limit=1000"), ("audit-last", audit, "after=18446744073709551615"),
        ("revoke", revoke, "reason=leaked"), ("revoke-plain", revoke, ""),
    ]:
        yield name, endpoint + query.encode()


# -- Messages of ext_authz ----------------------------------------------------------------------------------
def field(number, content):
    content = content.encode() if isinstance(content, str) else content
    length, written = len(content), b""
    while length > 127:
        written, length = written + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + written + bytes([length]) + content


def check(extensions=(), headers=(), raw_headers=(), address=None):
    """envoy.service.auth.v3.CheckRequest."""
    http = b"".join(field(3, field(1, name) + field(2, value)) for name, value in headers)
    if raw_headers:
        http += field(13, b"".join(field(1, field(1, name) + field(3, value)) for name, value in raw_headers))
    attributes = field(1, field(1, field(1, field(2, address)))) if address else b""
    attributes += field(4, field(2, http))
    attributes += b"".join(field(10, field(1, name) + field(2, value)) for name, value in extensions)
    return field(1, attributes)


def checks():
    framed, bare = b"0", b"1"
    key = vectors["worked-1-plain"]["api_key"].replace("acme_live", "live")
    bearer = [("authorization", f"Bearer {key}")]
    required = [("bulla", "realm:live,scope:orders.read,aud:shop,from:authorization")]
    for name, message in {
        "empty": b"", "nothing": check(), "bearer": check(headers=bearer, address="10.1.2.3"),
        "required": check(required, bearer), "raw": check(required, raw_headers=bearer, address="2001:db8::1"),
        "defaults": check([("bulla", "-")], [("x-api-key", key)]), "basic": check([], [("authorization", "Basic YTpi")]),
        "two-keys": check([], bearer + [("x-api-key", key)]), "twice": check([], bearer + bearer),
        "both": check([], bearer, bearer), "slip": check([("bulla.realm", "live")], bearer),
        "required-twice": check(required + required, bearer), "required-bad": check([("bulla", "realm:")], bearer),
        "not-utf-8": check([("bulla", b"\xff")], bearer), "header-not-text": check([], [("x-api-key", b"\x00\xff")]),
        "other": check([("other", "value")], [("host", "shop.example"), (":path", "/orders?key=1")]),
        "unknown-field": field(2, "more") + check(required, bearer), "group": b"\x0b\x0c", "cut": check(required, bearer)[:40],
        "length-of-64-bits": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    }.items():
        yield name, framed + message
    message = check(required, bearer)
    frame = b"\0" + len(message).to_bytes(4, "big") + message
    for name, body in {"frame": frame, "two-frames": frame + frame, "compressed": b"\1" + frame[1:], "no-frame": b"",
                       "frame-cut": frame[:3], "frame-too-long": b"\0\xff\xff\xff\xff" + message}.items():
        yield name, bare + body


# -- Rows to be imported ------------------------------------------------------------------------------------
def rows():
    digest, salt = "2c310d412efe7019f41a361db90a53749cd96831ec08a386c4d6051f6a8a40b4", "000102030405060708090a0b0c0d0e0f"
    hashes = [digest] * 5 + [
        "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni",
        "$scrypt$ln=14,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    ]
    publics = [None, "4f9a1c20", "4f9a1c20", "00010203-0405-0607-0809-0a0b0c0d0e0f", None, "4f9a1c20", "4f9a1c20", "4f9a1c20"]
    whole = {"name": "a note", "issued_at": "2020-01-01T00:00:00Z", "expires_at": 1900000000, "scopes": ["read", "write"],
             "meta": {"plan": "gold"}}
    for number, (hash_, public) in enumerate(zip(hashes, publics)):
        row = {"app_id": APP, "hash": hash_} | ({"public": public} if public else {})
        if number in (1, 2, 3):
            row["salt"] = salt
        more = json.dumps(row) + "\n" + json.dumps(row | whole) + "\n"
        header = ",".join(row)
        csv = header + "\n" + ",".join(f'"{row[name]}"' for name in row) + "\n"
        yield f"jsonl-{number}", bytes([number << 3 | 2]) + more.encode()
        yield f"csv-{number}", bytes([number << 3 | 3]) + csv.encode()
    plain = json.dumps({"app_id": APP, "hash": digest})
    for name, text in {
        "empty": "", "blank-lines": f"\n \n{plain}\n\n", "no-line-end": plain, "unknown-field": plain[:-1] + ',"a":1}',
        "twice": plain[:-1] + ',"hash":"00"}', "null": "null", "array": "[]", "deep": "[" * 300, "cut": plain[:30],
        "expired": plain[:-1] + ',"expires_at":1}', "late": plain[:-1] + ',"expires_at":4294967296}',
        "before-1970": plain[:-1] + ',"issued_at":-1}', "scopes-text": plain[:-1] + ',"scopes":"read write"}',
        "hash-base64": plain.replace(digest, "LDENQS7+cBn0GjYduQpTdJzZaDHsCKOGxNYFH2qKQLQ="),
        "carriage-returns": plain + "\r\n" + plain + "\r\n", "byte-order-mark": "\ufeff" + plain,
    }.items():
        yield f"jsonl-{name}", b"\0" + text.encode()
    for name, text in {
        "header-alone": "app_id,hash\n", "header-twice": "app_id,hash,hash\n", "header-unknown": "app_id,password\n",
        "short": f"app_id,hash\n{APP}\n", "quotes": f'app_id,hash,name\n{APP},{digest},"a ""note"", in\ntwo lines"\n',
        "quote-open": f'app_id,hash\n{APP},"{digest}', "no-header": f"{APP},{digest}\n",
    }.items():
        yield f"csv-{name}", b"\1" + text.encode()
    # Rows of the systems that the importer knows, by their places in its list.
    list_ = (ROOT / "src/imported/system/mod.rs").read_text().split("systems!(", 1)[1].split(");", 1)[0]
    places = {name.strip().replace("_", "-"): place for place, name in enumerate(list_.split(",")) if name.strip()}
    for path in sorted((ROOT / "tests/imports/fixtures").glob("*.json")):
        fixture = json.loads(path.read_text())
        if fixture["arguments"][0] == "--from" and path.stem in places:
            how = 0x80 | places[path.stem] << 1 | (fixture["format"] == "csv")
            # Whose keys they are is the same for all there.
            yield f"system-{path.stem}", bytes([how]) + fixture["rows"].encode()
    # The fuzzer's: a wrong line of a row behind CRLF.
    yield "csv-line-ends", b"\1app_id,hash\n3f2b8-8a55-0123456789\r\nabr\nd\n"
    yield "csv-not-utf-8", b"\1app_id,hash\n\xff,\xff\n"
    yield "jsonl-not-utf-8", b'\0{"app_id":"\xff"}\n'


# -- PEM files ----------------------------------------------------------------------------------------------
def pems():
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    def made(byte, name):
        # Ed25519 signs the same bytes the same way each time.
        key = Ed25519PrivateKey.from_private_bytes(bytes([byte]) * 32)
        names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(names, names, key.public_key(), 7)
        builder = builder.not_valid_before(datetime.datetime(2026, 1, 1)).not_valid_after(datetime.datetime(2106, 2, 7))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return (builder.sign(key, None).public_bytes(Encoding.PEM),
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    (one, one_key), (two, two_key) = made(1, "one.example"), made(2, "two.example")
    encrypted = one_key.replace(b"PRIVATE", b"ENCRYPTED PRIVATE")
    for name, files in {
        "whole": (one, one_key, two), "chain": (one + two, one_key, one + two), "no-authorities": (one, one_key),
        "other-key": (one, two_key, two), "no-key": (one, b"", two), "key-in-front": (one_key + one, one_key, two),
        "key-encrypted": (one, encrypted, two), "key-twice": (one, two_key + one_key, two), "none": (b"", b"", b""),
        "text-around": (b"subject=one\n" + one + b"end\n", b"# a key\n" + one_key, b"\n\n" + two),
        "carriage-returns": tuple(part.replace(b"\n", b"\r\n") for part in (one, one_key, two)),
        "no-end": (one[:-20], one_key, two), "line-cut": (one[:100] + one[101:], one_key, two),
        "byte-order-mark": (b"\xef\xbb\xbf" + one, one_key, two), "certificate-as-key": (one, one, two),
        "label-trusted": (one.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), one_key, two),
    }.items():
        yield name, b"\0".join(files)


sealed()
write("api_key", api_keys())
write("claims", claims())
write("feed", feeds())
write("keyring", keyrings())
write("secret_hash", hashes())
write("verify_body", bodies())
write("admin_body", admin_bodies())
write("check_message", checks())
write("import_rows", rows())
write("pem_files", pems())
