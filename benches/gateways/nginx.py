"""nginx, with one process. What it answers with has an access phase: `return` has none."""

import pathlib

from parts import IDENTITY, REQUIRED, ROOT, beside_before, many_keys, three
from setting import Setting


ASKS = f"""location = /_bulla {{
            internal;
            proxy_pass http://bulla/v1/authorize/{REQUIRED};
            proxy_pass_request_body off;
            proxy_connect_timeout 1s;
            proxy_read_timeout 5s;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-For $remote_addr;
        }}"""


def configuration(port, http, location, main="", server=""):
    return f"""{main}
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {location}
            empty_gif;
        }}
        {server}
    }}
}}
"""


def gateway(parts, name, location="", http="", main="", files=(), good=None, server="", **more):
    def start(folder, port):
        for file, text in files:
            (folder / file).write_text(text.replace("FOLDER", str(folder)))
        text = configuration(port, http, location, main, server).replace("FOLDER", str(folder))
        (folder / "nginx.conf").write_text(text)
        return ["nginx", "-p", folder, "-c", folder / "nginx.conf"]

    return Setting("nginx", name, start, good or parts.good, **more)


def settings(parts):
    yield gateway(parts, "plain", kind="plain")
    rows = "".join(f'"Bearer {key}" "app-{at}";\n' for at, key in enumerate(many_keys(parts.good.key)))
    yield gateway(parts, "map, 1,000 keys", 'if ($app = "") { return 401; }', kind="own",
                  http=f'map_hash_bucket_size 256; map_hash_max_size 4096; map $http_authorization $app {{ default ""; {rows} }}')
    told = "\n".join(f"auth_request_set $bulla_{name.replace('-', '_')} $upstream_http_x_bulla_{name.replace('-', '_')};" for name in IDENTITY)

    def asks(deployment, good, name, kept, unix=False, **more):
        address = f"unix:{deployment.socket}" if unix else f"127.0.0.1:{deployment.port}"
        upstream = f"upstream bulla {{ server {address}; keepalive {kept}; }}"
        return gateway(parts, name, f"auth_request /_bulla;\n{told}", upstream, server=ASKS, good=good, **more)

    yield from beside_before(parts, asks, "auth_request", 128)
    yield asks(parts.service, parts.good, "auth_request, Unix socket", 128, True, kind="forward")
    yield asks(parts.service, parts.good, "auth_request, 16 kept connections", 16, kind="forward")
    library = parts.modules / "libbulla_nginx.so"

    def module(settings, name, good, **more):
        return gateway(parts, name, f"bulla {REQUIRED};", f"bulla_settings {settings};", f"load_module {library};", good=good, **more)

    yield from three(parts, "bulla inside", module, [library], kind="module")
    lua = [pathlib.Path(f"/usr/share/nginx/modules/{name}_module.so") for name in ("ndk_http", "ngx_http_lua")]
    examples = ROOT / "docs/examples/modules/luajit"

    def ffi(settings, name, good, **more):
        http = f"""lua_package_path "{examples}/?.lua;/usr/share/lua/5.1/?.lua;;";
    init_by_lua_block {{
        bulla = require("bulla").open("{parts.c_abi}", "{settings}")
        orders = bulla:expect("{REQUIRED}")
    }}
    init_worker_by_lua_block {{ bulla:start() }}"""
        load = "".join(f"load_module {path};\n" for path in lua)
        return gateway(parts, name, "access_by_lua_block { return orders:access() }", http, load, good=good, **more)

    yield from three(parts, "Lua and ffi", ffi, [*lua, parts.c_abi], kind="module")
