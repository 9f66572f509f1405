"""Makes keys and rows with the code of Python packages, and writes them as fixtures into the folder of the first argument: all, or
those of the names behind it. Called by `record`, and by tests for what makes its keys in no time."""

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import pathlib
import random
import re
import secrets
import string
import subprocess
import sys
import uuid
import zlib

# No folder of compiled modules beside the fixtures.
sys.dont_write_bytecode = True

from recording import APP, SECRET, UNPACKED, WANTED, changed, classes, function, of, write  # noqa: E402


def django():
    import datetime

    import django as package
    from django.conf import settings

    version = f"django=={package.get_version()}"
    # Tests do without it.
    toolkit = ["oauth2_provider"] if importlib.util.find_spec("oauth2_provider") else []
    hashers = "PBKDF2PasswordHasher PBKDF2SHA1PasswordHasher Argon2PasswordHasher BCryptSHA256PasswordHasher BCryptPasswordHasher ScryptPasswordHasher"
    settings.configure(
        SECRET_KEY="x" * 50,
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "rest_framework_api_key", "knox", *toolkit,
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        ALLOWED_HOSTS=["testserver"],
        # By default a token lasts for ten hours, and its row would be refused then.
        OAUTH2_PROVIDER={"ACCESS_TOKEN_EXPIRE_SECONDS": 25_000 * 86_400},
        PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in hashers.split()],
    )
    package.setup()
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password
    from django.core.management import call_command
    from knox.models import AuthToken
    from rest_framework_api_key.models import APIKey

    call_command("migrate", verbosity=0)
    made = [APIKey.objects.create_key(name=f"key {number}") for number in range(2)]
    rows = list(APIKey.objects.order_by("name").values())
    write(
        "djangorestframework-api-key", "djangorestframework-api-key==3.1.0", "run", of("djangorestframework-api-key"), rows,
        [key for _, key in made], format="csv",
    )
    row, key = made[0]
    older = [dict(rows[0], hashed_key=make_password(key, hasher=name)) for name in ("pbkdf2_sha256", "argon2")]
    second, other = APIKey.objects.create_key(name="another")
    older[1] = dict(older[1], prefix=second.prefix, hashed_key=make_password(other, hasher="argon2"))
    write("djangorestframework-api-key-older", version, "run", of("djangorestframework-api-key"), older, [key, other])
    user = get_user_model().objects.create_user("user")
    # By default a token lasts for ten hours, and its row would be refused then.
    tokens = [AuthToken.objects.create(user, expiry=expiry)[1] for expiry in (None, datetime.timedelta(days=25_000))]
    write(
        "django-rest-knox", "django-rest-knox==5.1.0", "run", ["--from", "django-rest-knox", "--app-from", "user_id"],
        list(AuthToken.objects.values()), tokens, format="csv",
    )
    for hasher in ("pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "scrypt"):
        text = "sk_live_" + secrets.token_hex(4) + "_" + secrets.token_urlsafe(24).replace("_", "-")
        row = {"app_id": APP, "public": text.split("_")[2], "hash": make_password(text, hasher=hasher)}
        arguments = ["--scheme", "hash-string", "--prefix", "sk_live_", "--separator", "_"]
        write(f"django-{hasher.replace('_', '-')}", version, "run", arguments, [row], [text])
    if toolkit:
        oauth_toolkit()


def oauth_toolkit():
    """Tokens of the endpoint that issues them, one stored in plaintext, too, and one by its checksum alone."""
    from django.test import RequestFactory, override_settings
    from oauth2_provider.models import AccessToken, Application
    from oauth2_provider.oauth2_backends import get_oauthlib_core
    from oauth2_provider.settings import oauth2_settings
    from oauth2_provider.views import TokenView

    secret = secrets.token_urlsafe(32)
    client = Application.objects.create(
        name="a", client_type="confidential", authorization_grant_type="client-credentials", client_secret=secret,
    )
    keys = []
    for redacted in (False, True):
        settings = oauth2_settings.user_settings | {"COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": redacted}
        with override_settings(OAUTH2_PROVIDER=settings):
            asked = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
            answer = TokenView.as_view()(RequestFactory().post("/token/", asked))
            keys.append(json.loads(answer.content)["access_token"])
    for key in (*keys, changed(keys[0])):
        request = RequestFactory().get("/", headers={"authorization": f"Bearer {key}"})
        accepted, _ = get_oauthlib_core().verify_request(request, scopes=[])
        assert accepted == (key in keys)
    rows = list(AccessToken.objects.order_by("id").values())
    write("django-oauth-toolkit", "django-oauth-toolkit==3.4.1", "run", of("django-oauth-toolkit"), rows, keys, format="csv")


def older_knox():
    """Releases whose digests are others: each is in a folder of its own, with an older Django."""
    made = {}
    for version in ("3.6.0", "4.1.0", "4.2.0"):
        python = pathlib.Path(os.environ["BULLA_IMPORTS_KNOX"]) / version / "bin/python"
        script = pathlib.Path(__file__).with_name("record_knox.py")
        made[version] = json.loads(subprocess.run([python, script], check=True, stdout=subprocess.PIPE).stdout)
    # Until 4.2 rows have a salt.
    salted = [made["3.6.0"][what] + made["4.1.0"][what] for what in ("rows", "keys")]
    write("django-rest-knox-3", "django-rest-knox==3.6.0 and 4.1.0", "run", of("django-rest-knox-3"), *salted)
    last = made["4.2.0"]
    write("django-rest-knox-4", "django-rest-knox==4.2.0", "run", of("django-rest-knox-4"), last["rows"], last["keys"], format="csv")


STRINGS = ["--scheme", "hash-string", "--prefix", "sk_live_", "--separator", "_"]


def strings(name, package, how, hashes):
    """Hash strings of one package, each of a key of its own."""
    rows, keys = [], []
    for make in hashes:
        text = "sk_live_" + secrets.token_hex(4) + "_" + secrets.token_urlsafe(24).replace("_", "-")
        rows.append({"app_id": APP, "public": text.split("_")[2], "hash": make(text)})
        keys.append(text)
    write(name, package, how, STRINGS, rows, keys)


def hash_strings():
    from passlib import hash as passlib
    from werkzeug.security import generate_password_hash

    strings(
        "passlib", "passlib==1.7.4", "run",
        [getattr(passlib, name).hash for name in (
            "pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512", "scrypt", "argon2", "bcrypt", "bcrypt_sha256",
        )]
        # A build for tests takes a minute for half a million rounds.
        + [getattr(passlib, name).using(rounds=5_000).hash for name in ("sha256_crypt", "sha512_crypt")],
    )
    strings(
        "passlib-ldap", "passlib==1.7.4", "run",
        [getattr(passlib, name).hash for name in (
            "ldap_sha1", "ldap_salted_sha1", "ldap_salted_sha256", "ldap_salted_sha512", "ldap_pbkdf2_sha256", "ldap_pbkdf2_sha512",
            "ldap_bcrypt",
        )]
        + [passlib.ldap_sha512_crypt.using(rounds=5_000).hash],
    )
    strings(
        "werkzeug", "werkzeug==3.1.9", "run",
        [generate_password_hash, lambda key: generate_password_hash(key, "pbkdf2:sha256:100000"), lambda key: generate_password_hash(key, "pbkdf2:sha1:1000")],
    )


def keystone():
    """keystone's own hashers, without its configuration."""
    import importlib.util
    import types

    for name in ("keystone", "keystone.common", "keystone.common.password_hashers"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["keystone"].exception = types.SimpleNamespace(PasswordValidationError=ValueError)
    base = sys.modules["keystone.common"]
    hashers = UNPACKED / "keystone/common/password_hashers"
    loaded = {}
    for name in ("__init__", "bcrypt", "pbkdf2", "scrypt"):
        full = "keystone.common.password_hashers" + ("" if name == "__init__" else f".{name}")
        spec = importlib.util.spec_from_file_location(full, hashers / f"{name}.py", submodule_search_locations=[str(hashers)])
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
        loaded[name] = module
    base.password_hashers = loaded["__init__"]
    text = lambda hasher, **more: lambda key: hasher.hash(key.encode(), **more)
    strings(
        "keystone", "keystone==30.0.0", "extracted",
        [text(loaded["bcrypt"].Bcrypt), text(loaded["bcrypt"].Bcrypt_sha256), text(loaded["pbkdf2"].Sha512), text(loaded["scrypt"].Scrypt)],
    )


def jupyterhub():
    from jupyterhub import orm

    session = orm.new_session_factory("sqlite:///:memory:")()
    user = orm.User(name="user")
    session.add(user)
    session.add(orm.OAuthClient(identifier="jupyterhub", secret="", redirect_uri="", description=""))
    session.commit()
    tokens = [user.new_api_token(note=f"token {number}") for number in range(2)]
    # 16 characters of the configuration, with many rounds.
    tokens.append(user.new_api_token(token="token-of-a-configuration-0123", generated=False))
    rows = [
        # As the database has them.
        {name: json.dumps(value) if name == "scopes" else value for name in orm.APIToken.__table__.columns.keys() for value in [getattr(row, name)]}
        for row in session.query(orm.APIToken)
    ]
    # Another token with the same beginning: the first characters are not unique there.
    twin = tokens[0][:4] + "0" * 28
    rows.append(dict(rows[0], id=9, hashed=__import__("jupyterhub.utils", fromlist=["x"]).hash_token(twin, rounds=1)))
    write("jupyterhub", "jupyterhub==6.1.1", "run", of("jupyterhub"), rows, [*tokens, twin])


def flask_appbuilder():
    from flask import Flask
    from flask_appbuilder.security.sqla.manager import SecurityManager

    flask = Flask("x")
    flask.config["SECRET_KEY"] = SECRET
    keys = ["sst_" + secrets.token_urlsafe(32) for _ in range(2)]
    with flask.app_context():
        rows = [
            {
                "id": number, "uuid": str(uuid.uuid4()), "name": "a", "key_hash": "scrypt:32768:8:1$a$b", "key_prefix": "sst_", "user_id": 7,
                "lookup_hash": SecurityManager._compute_lookup_hash(key), "scopes": None, "active": True, "created_on": "2026-01-02 03:04:05.678901",
                "expires_on": "2100-01-01 00:00:00", "revoked_on": None, "last_used_on": None,
            }
            for number, key in enumerate(keys)
        ]
    write("flask-appbuilder", "flask-appbuilder==5.3.0", "run", of("flask-appbuilder", "--zone", "UTC"), rows, keys, secret=SECRET)


def keyshield():
    import asyncio

    from keyshield.hasher.argon2 import Argon2ApiKeyHasher
    from keyshield.hasher.bcrypt import BcryptApiKeyHasher
    from keyshield.repositories.in_memory import InMemoryApiKeyRepository
    from keyshield.services.base import ApiKeyService

    for name, hasher in (("keyshield", Argon2ApiKeyHasher(pepper=SECRET)), ("keyshield-bcrypt", BcryptApiKeyHasher(pepper=SECRET, rounds=4))):
        service = ApiKeyService(repo=InMemoryApiKeyRepository(), hasher=hasher, min_delay=0, max_delay=0)
        entity, key = asyncio.run(service.create(name="a"))
        row = {
            "id": entity.id_, "name": entity.name, "description": None, "is_active": True, "expires_at": None,
            "created_at": "2026-01-02 03:04:05.678901+00", "last_used_at": None, "key_id": entity.key_id, "key_hash": entity.key_hash,
            "key_secret_first": key[-64:-60], "key_secret_last": key[-4:], "scopes": [],
        }
        write(name, "keyshield==2.0.1", "run", of(name), [row], [key], secret=SECRET)


def zenml():
    from passlib.context import CryptContext

    path = "zenml/zen_stores/schemas/api_key_schemas.py"
    hashed = function(path, "_get_hashed_key", CryptContext=CryptContext)
    made = function(path, "_generate_jwt_secret_key", token_hex=secrets.token_hex)
    key, number = made(None), uuid.uuid4()
    prefix = "ZENKEY_"
    assert prefix in (UNPACKED / "zenml/constants.py").read_text()
    text = prefix + base64.b64encode(json.dumps({"id": str(number), "key": key}, separators=(",", ":")).encode()).decode()
    # As JSON_OBJECT of MySQL has it.
    row = {
        "id": number.hex, "created": "2026-01-02 03:04:05.000000", "updated": "2026-01-02 03:04:05.000000", "name": "a", "description": "",
        "key": hashed(None, key), "previous_key": None, "key_generation": 1, "retain_period": 0, "active": 1, "last_login": None,
        "last_rotated": None, "service_account_id": uuid.uuid4().hex,
    }
    # A key that is wrong within its JSON.
    wrong = prefix + base64.b64encode(json.dumps({"id": str(number), "key": changed(key)}).encode()).decode()
    write("zenml", "zenml==0.98.0", "extracted", of("zenml"), [row], [text], [wrong])


def open_webui_row(key):
    return {
        "id": "key_7", "user_id": "u", "key": key, "data": None, "expires_at": None, "last_used_at": 1770000000, "created_at": 1770000000,
        "updated_at": 1770000000,
    }


def extracted():
    hashed = function("litellm/proxy/utils.py", "hash_token")
    key = "sk-" + secrets.token_urlsafe(16)
    rows = [{
        "token": hashed(key), "key_name": "sk-...", "key_alias": "a", "soft_budget_cooldown": "f", "spend": 0, "expires": "2100-01-01 00:00:00",
        "models": "{}", "aliases": "{}", "config": "{}", "user_id": "u", "team_id": None, "permissions": "{}", "metadata": "{}", "blocked": None,
        "max_budget": None, "allowed_cache_controls": "{}", "allowed_routes": "{}", "budget_id": None, "object_permission_id": None,
        "created_at": "2026-01-02 03:04:05.678", "created_by": "u", "updated_at": "2026-01-02 03:04:05.678", "updated_by": "u",
        "last_active": "2026-01-02 03:04:05.678", "auto_rotate": "f", "rotation_count": 0, "key_rotation_at": None,
    }]
    write("litellm", "litellm==1.110.2", "extracted", of("litellm"), rows, [key], format="csv")
    hashed = function("langflow/services/database/models/api_key/crud.py", "hash_api_key", hashlib=hashlib)
    key = "sk-" + secrets.token_urlsafe(32)
    row = {
        "id": uuid.uuid4().hex, "name": "a", "last_used_at": None, "total_uses": 0, "is_active": 1, "expires_at": "2100-01-01 00:00:00.000000",
        "created_at": "2026-01-02 03:04:05", "api_key": "gAAAAAB", "api_key_hash": hashed(key), "user_id": uuid.uuid4().hex,
    }
    write("langflow", "langflow-base==1.13.0", "extracted", of("langflow"), [row], [key], format="csv")
    made = function("open_webui/utils/auth.py", "create_api_key", uuid=uuid, secrets=secrets, string=string)
    key = made()
    write("open-webui", "open-webui==0.12.4", "extracted", of("open-webui"), [open_webui_row(key)], [key], format="csv")


def documented():
    """Systems that are not run: their rows, made as they document them. Most of their servers are neither Python nor Node."""
    letters = string.ascii_letters + string.digits
    text = lambda count, of=letters: "".join(secrets.choice(of) for _ in range(count))
    sha256 = lambda key: hashlib.sha256(key.encode()).hexdigest()

    token, salt = secrets.token_hex(20), text(10)
    digest = hashlib.pbkdf2_hmac("sha256", token.encode(), salt.encode(), 10_000, 50).hex()
    row = {"id": 1, "uid": 7, "name": "a", "token_hash": digest, "token_salt": salt, "token_last_eight": token[-8:], "scope": "all", "created_unix": 1770000000, "updated_unix": 1770000000}
    write("gitea", "gitea, models/auth/access_token.go", "documented", of("gitea"), [row], [token], [changed(token), "0" + token[1:]])

    secret = text(32)
    body = "glsa_" + secret
    token = lambda body: f"{body}_{zlib.crc32(body.encode()).to_bytes(4, 'little').hex()}"
    key = token(body)
    digest = hashlib.pbkdf2_hmac("sha256", secret.encode(), key[-8:].encode(), 10_000, 50).hex()
    row = lambda name, digest: {
        "id": 1, "org_id": 1, "name": name, "key": digest, "role": "Viewer", "created": "2026-01-02 03:04:05", "updated": "2026-01-02 03:04:05",
        "expires": 4102444800, "service_account_id": 7, "last_used_at": None, "is_revoked": 0,
    }
    # A right secret with another checksum, another secret with that checksum, and another one with its own.
    wrong = [body + "_00000000", body[:-1] + ("a" if body[-1] != "a" else "b") + key[-9:], token("glsa_" + text(32))]
    write("grafana", "grafana, pkg/components/satokengen", "documented", of("grafana"), [row("a", digest)], [key], wrong, format="csv")

    rows, keys = [], []
    # The same name in two organizations, and one that Go writes in JSON otherwise.
    for organization, name in ((1, "ci"), (2, "ci"), (1, "a & b")):
        secret = text(32)
        rows.append(dict(row(name, hashlib.pbkdf2_hmac("sha256", secret.encode(), name.encode(), 10_000, 50).hex()), org_id=organization))
        written = json.dumps({"k": secret, "n": name, "id": organization}, separators=(",", ":")).replace("&", "\\u0026")
        keys.append(base64.b64encode(written.encode()).decode())
    wrong = [base64.b64encode(json.dumps({"k": secret, "n": "ci", "id": 1}).encode()).decode(), "glsa_" + text(32) + "_00000000"]
    write("grafana-api-key", "grafana, pkg/components/apikeygen", "documented", of("grafana-api-key"), rows, keys, wrong, format="csv")

    token = "glpat-" + text(20)
    digest = base64.b64encode(hashlib.sha256((token + SECRET[:32]).encode()).digest()).decode()
    row = {"id": 1, "user_id": 7, "name": "a", "token_digest": digest, "revoked": "f", "expires_at": "2100-01-01"}
    row.update({
        "created_at": "2026-01-02 03:04:05.678901", "updated_at": "2026-01-02 03:04:05.678901", "scopes": "---\n- :api\n", "impersonation": "f",
        "expire_notification_delivered": "f", "last_used_at": "2026-01-02 03:04:05.678901+00", "after_expiry_notification_delivered": "f",
        "previous_personal_access_token_id": None, "advanced_scopes": None, "organization_id": 1, "seven_days_notification_sent_at": None,
        "thirty_days_notification_sent_at": None, "sixty_days_notification_sent_at": None, "description": None, "group_id": None,
        "user_type": 0, "granular": "f",
    })
    write("gitlab", "gitlab, lib/gitlab/crypto_helper.rb", "documented", of("gitlab"), [row], [token], format="csv", secret=SECRET)

    plain = text(40)
    # As JSON_OBJECT of MySQL has it.
    row = {
        "id": 17, "tokenable_type": "App\\Models\\User", "tokenable_id": 7, "name": "a", "token": sha256(plain), "abilities": '["*"]',
        "last_used_at": None, "expires_at": "2037-01-01 00:00:00.000000", "created_at": "2026-01-02 03:04:05.000000",
        "updated_at": "2026-01-02 03:04:05.000000",
    }
    write("laravel-sanctum", "laravel/sanctum, HasApiTokens.php", "documented", of("laravel-sanctum", "--zone", "UTC"), [row], [f"17|{plain}"])

    key = "phx_" + text(43)
    row = {"id": text(12), "label": "a", "secure_value": "sha256$" + sha256(key), "user_id": 7, "created_at": "2026-01-02 03:04:05.678901+00"}
    row.update({
        "value": None, "mask_value": "phx_...1zUT", "last_used_at": None, "last_rolled_at": None, "scopes": ["*"], "scoped_teams": None,
        "scoped_organizations": None, "team_id": None,
    })
    write("posthog", "posthog, posthog/models/personal_api_key.py", "documented", of("posthog"), [row], [key])

    rows, keys = [], []
    for hasher in ("ssha256", "pbkdf2", "pbkdf2_stretch"):
        number, secret = text(20), text(22)
        if hasher == "ssha256":
            salt = secrets.token_bytes(8)
            value = "{SSHA256}" + base64.b64encode(salt).decode() + base64.b64encode(hashlib.sha256(secret.encode() + salt).digest()).decode()
        else:
            salt = secrets.token_bytes(32)
            first = hashlib.sha512(secret.encode()).hexdigest() if hasher == "pbkdf2_stretch" else secret
            digest = hashlib.pbkdf2_hmac("sha512", first.encode(), salt, 10_000, 32)
            value = "{%s}10000$%s$%s" % (hasher.upper(), base64.b64encode(salt).decode(), base64.b64encode(digest).decode())
        rows.append({
            "id": number, "api_key_hash": value, "name": "a", "creation_time": 1770000000000, "expiration_time": None, "api_key_invalidated": False,
        })
        keys.append(base64.b64encode(f"{number}:{secret}".encode()).decode())
    wrong = base64.b64encode(f"{rows[0]['id']}:{text(22)}".encode()).decode()
    write("elasticsearch", "elasticsearch, Hasher.java", "documented", of("elasticsearch"), rows, keys, [wrong])

    key = text(32)
    row = {
        "id": str(uuid.uuid4()), "created_at": "2026-01-02 03:04:05+00", "consumer_id": str(uuid.uuid4()), "key": key, "tags": None,
        "ttl": None, "cache_key": f"keyauth_credentials:{key}:::::", "ws_id": str(uuid.uuid4()),
    }
    write("kong", "kong: it stores keys in plaintext", "documented", of("kong"), [row], [key])


def indico():
    import types

    hashing = classes("indico/util/passwords.py", "BCryptPassword", "SHA256Token", "PasswordProperty", "TokenProperty", hashlib=hashlib)
    prefixes = (UNPACKED / "indico/core/oauth/util.py").read_text()
    util = types.ModuleType("indico.core.oauth.util")
    util.TOKEN_PREFIX_PERSONAL = re.search(r"^TOKEN_PREFIX_PERSONAL = '(.*)'", prefixes, re.MULTILINE)[1]
    sys.modules[util.__name__] = util
    letters = string.ascii_letters + string.digits
    generate = function("authlib/common/security.py", "generate_token", random=random, UNICODE_ASCII_CHARACTER_SET=letters)

    class PersonalToken:
        access_token = hashing[-1]("access_token_hash")
        generate_token = function("indico/core/oauth/models/personal_tokens.py", "generate_token", generate_token=generate)

    token = PersonalToken()
    key = token.generate_token()
    table = {token.access_token_hash: token}
    PersonalToken.query = types.SimpleNamespace(
        filter_by=lambda access_token_hash: types.SimpleNamespace(first=lambda: table.get(access_token_hash))
    )
    query = function("indico/core/oauth/util.py", "query_token", hashlib=hashlib, PersonalToken=PersonalToken, **vars(util))
    assert token.access_token == key and query(key, True) is token and query(changed(key), True) is None
    row = {
        "id": 7, "access_token_hash": token.access_token_hash, "scopes": "{read:everything}", "created_dt": "2026-01-02 03:04:05.678901",
        "last_used_dt": None, "last_used_ip": None, "use_count": 0, "user_id": 7, "name": "a", "revoked_dt": None,
    }
    write("indico", "indico==3.3.14", "extracted", of("indico"), [row], [key], format="csv")


def netbox():
    """Two tokens by the methods of NetBox's model, without Django."""
    import types

    path = "users/models/tokens.py"
    letters = string.ascii_letters + string.digits
    assert "TOKEN_CHARSET = string.ascii_letters + string.digits" in (UNPACKED / "users/constants.py").read_text()
    generate = function(path, "generate", secrets=secrets, TOKEN_CHARSET=letters, TOKEN_DEFAULT_LENGTH=40)
    digest = function(path, "update_digest", get_current_pepper=lambda: (1, SECRET), hmac=hmac, hashlib=hashlib)
    rows, keys = [], []
    for expires in (None, "2100-01-01 00:00:00+00"):
        token = types.SimpleNamespace(token=generate())
        digest(token)
        number = generate(length=12)
        keys.append(f"nbt_{number}.{token.token}")
        rows.append({
            "id": 1, "created": "2026-01-02 03:04:05.678901+00", "expires": expires, "last_used": None, "key": number, "write_enabled": "t",
            "description": "a", "allowed_ips": None, "user_id": 7, "version": 2, "plaintext": None, "pepper_id": token.pepper_id,
            "hmac_digest": token.hmac_digest, "enabled": "t",
        })
    write("netbox", "netbox==4.7.3", "extracted", of("netbox"), rows, keys, format="csv", secret=SECRET)


# Each maker with the beginnings of the fixtures that it makes.
for make, names in (
    (django, "django"), (older_knox, "django-rest-knox-"), (hash_strings, "passlib werkzeug"), (keystone, "keystone"), (jupyterhub, "jupyterhub"),
    (flask_appbuilder, "flask-appbuilder"), (keyshield, "keyshield"), (zenml, "zenml"), (extracted, "litellm langflow open-webui"),
    (netbox, "netbox"), (indico, "indico"), (documented, "gitea grafana gitlab laravel posthog elasticsearch kong"),
):
    if not WANTED or any(wanted.startswith(tuple(names.split())) for wanted in WANTED):
        make()
