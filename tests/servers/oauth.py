"""Authlib and joserfc, as their users call them."""

import os
import time

import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER, ALGORITHM, CLIENT = (os.environ[name] for name in ("ISSUER", "ALGORITHM", "CLIENT"))
keys = os.environ["KEYS"].split()

server = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=10).json()
sessions = []
for client_id, secret in (("gateway", CLIENT), (CLIENT, "x")):
    for method in server["introspection_endpoint_auth_methods_supported"]:
        sessions.append(
            OAuth2Session(
                client_id, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
            )
        )
for session in sessions:
    told = session.introspect_token(server["introspection_endpoint"], token=keys[0]).json()
    assert told["active"] and told["scope"] == "a" and told["exp"] <= time.time() + 60, told
for session, key in zip(sessions, keys):
    answer = session.revoke_token(server["revocation_endpoint"], token=key)
    assert answer.status_code == 200, answer.text
    assert session.introspect_token(server["introspection_endpoint"], token=key).json() == {"active": False}
refused = OAuth2Session("gateway", "wrong").introspect_token(server["introspection_endpoint"], token=keys[0])
assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), refused.text

# The assertion, by the published keys.
published = KeySet.import_key_set(requests.get(server["jwks_uri"], timeout=10).json())
claims = jwt.decode(os.environ["ASSERTION"], published, algorithms=[ALGORITHM]).claims
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": "shop"}, exp={"essential": True}
).validate(claims)
# A signed answer of introspection (RFC 9701).
signed = requests.post(
    server["introspection_endpoint"],
    data={"token": "nothing"},
    auth=("gateway", CLIENT),
    headers={"Accept": "application/token-introspection+jwt"},
    timeout=10,
)
told = jwt.decode(signed.text, published, algorithms=[ALGORITHM])
assert told.header["typ"] == "token-introspection+jwt", told.header
assert told.claims["token_introspection"] == {"active": False} and told.claims["aud"] == "gateway", told.claims
print("done")
