"""HAProxy, with one thread."""

from parts import IDENTITY, REQUIRED, ROOT, many_keys
from setting import Setting

DOCUMENTED = ROOT / "docs/examples/gateways"
DONE = "http-request return status 200"


def configuration(port, rules, head="", tail=""):
    return f"""global
    nbthread 1
    {head}
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend gateway
    bind 127.0.0.1:{port}
    {rules}
    {DONE}
{tail}
"""


def gateway(parts, name, rules, head="", tail="", files=(), **more):
    def start(folder, port):
        for file, text in files:
            (folder / file).write_text(text.replace("FOLDER", str(folder)))
        text = configuration(port, rules, head, tail).replace("FOLDER", str(folder))
        (folder / "haproxy.cfg").write_text(text)
        return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]

    return Setting("HAProxy", name, start, parts.good, **more)


def settings(parts):
    keys = "".join(f"{key} app-{at}\n" for at, key in enumerate(many_keys(parts.good.key)))
    yield gateway(parts, "plain", "", kind="plain")
    yield gateway(parts, "map, 1,000 keys", """http-request set-var(txn.app) http_auth_bearer,map(FOLDER/keys.map)
    http-request deny deny_status 401 unless { var(txn.app) -m found }""", files=[("keys.map", keys)], kind="own")
    lua = (DOCUMENTED / "bulla.lua").read_text().replace("/run/haproxy/", "FOLDER/")
    yield gateway(parts, "bulla.lua over HTTP", f"""http-request lua.bulla {REQUIRED}
    http-request deny deny_status 404 unless {{ var(txn.bulla) -m str accepted }}
    http-request del-header X-API-Key
    http-request del-header Authorization""", head="lua-load FOLDER/bulla.lua", files=[("bulla.lua", lua)], kind="forward", tail=f"""
frontend ask
    bind FOLDER/bulla.sock mode 600
    default_backend bulla
backend bulla
    retries 0
    timeout connect 1s
    timeout server 5s
    http-reuse always
    server bulla 127.0.0.1:{parts.service.port}""")
