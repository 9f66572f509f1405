"""HAProxy, with one thread."""

from parts import REQUIRED, ROOT, many_keys, three
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


def gateway(good, name, rules, head="", tail="", files=(), **more):
    def start(folder, port):
        for file, text in files:
            (folder / file).write_text(text.replace("FOLDER", str(folder)))
        text = configuration(port, rules, head, tail).replace("FOLDER", str(folder))
        (folder / "haproxy.cfg").write_text(text)
        return ["haproxy", "-db", "-f", folder / "haproxy.cfg"]

    return Setting("HAProxy", name, start, good, **more)


def settings(parts):
    keys = "".join(f"{key} app-{at}\n" for at, key in enumerate(many_keys(parts.good.key)))
    yield gateway(parts.good, "plain", "", kind="plain")
    yield gateway(parts.good, "map, 1,000 keys", """http-request set-var(txn.app) http_auth_bearer,map(FOLDER/keys.map)
    http-request deny deny_status 401 unless { var(txn.app) -m found }""", files=[("keys.map", keys)], kind="own")
    lua = (DOCUMENTED / "bulla.lua").read_text()
    asks = f"""http-request lua.bulla {REQUIRED}
    http-request deny deny_status 404 unless {{ var(txn.bulla) -m str accepted }}
    http-request del-header X-API-Key
    http-request del-header Authorization"""
    yield gateway(parts.good, "bulla.lua over HTTP", asks, head="lua-load FOLDER/bulla.lua", kind="forward",
                  files=[("bulla.lua", lua.replace("/run/bulla/data.sock", str(parts.service.socket)))])
    yield gateway(parts.good, "bulla.lua, by a frontend and a port", asks, head="lua-load FOLDER/bulla.lua", kind="forward",
                  files=[("bulla.lua", lua.replace("unix@/run/bulla/data.sock", "FOLDER/bulla.sock"))], tail=f"""
frontend ask
    bind FOLDER/bulla.sock mode 600
    default_backend bulla
backend bulla
    retries 0
    timeout connect 1s
    timeout server 5s
    http-reuse always
    server bulla 127.0.0.1:{parts.service.port}""")
    library = parts.modules / "libbulla_haproxy.so"
    def rules(file):
        first = "http-request deny deny_status 404 unless"
        documented = (ROOT / "docs/examples/modules/haproxy" / file).read_text()
        return first + documented.split(first, 1)[1].split("default_backend", 1)[0]

    def module(file):
        def start(settings, name, good, **more):
            loader = f"""package.cpath = "{library.parent}/lib?.so;" .. package.cpath
require("bulla_haproxy").open("{settings}", "x-forwarded-for")"""
            return gateway(good, name, rules(file), head="lua-load-per-thread FOLDER/bulla.lua", files=[("bulla.lua", loader)], **more)

        return start

    yield from three(parts, "bulla inside", module("haproxy.cfg"), [library], kind="module")
    yield from three(parts, "bulla inside, by Lua", module("by-lua.cfg"), [library], kind="module")
