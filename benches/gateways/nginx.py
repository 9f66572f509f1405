"""nginx, with one process. What it answers with has an access phase: `return` has none."""

from parts import IDENTITY, REQUIRED, many_keys
from setting import Setting


def configuration(port, http, location, main=""):
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
        location = /_bulla {{
            internal;
            proxy_pass http://bulla/v1/authorize/{REQUIRED};
            proxy_pass_request_body off;
            proxy_connect_timeout 1s;
            proxy_read_timeout 5s;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""


def gateway(parts, name, location="", http="", main="", files=(), **more):
    def start(folder, port):
        for file, text in files:
            (folder / file).write_text(text.replace("FOLDER", str(folder)))
        upstream = f"upstream bulla {{ server 127.0.0.1:{parts.service.port}; keepalive 16; }}\n    "
        text = configuration(port, upstream + http, location, main).replace("FOLDER", str(folder))
        (folder / "nginx.conf").write_text(text)
        return ["nginx", "-p", folder, "-c", folder / "nginx.conf"]

    return Setting("nginx", name, start, parts.good, **more)


def settings(parts):
    yield gateway(parts, "plain", kind="plain")
    rows = "".join(f'"Bearer {key}" "app-{at}";\n' for at, key in enumerate(many_keys(parts.good.key)))
    yield gateway(parts, "map, 1,000 keys", 'if ($app = "") { return 401; }', kind="own",
                  http=f'map_hash_bucket_size 256; map_hash_max_size 4096; map $http_authorization $app {{ default ""; {rows} }}')
    told = "\n".join(f"auth_request_set $bulla_{name.replace('-', '_')} $upstream_http_x_bulla_{name.replace('-', '_')};" for name in IDENTITY)
    yield gateway(parts, "auth_request", f"auth_request /_bulla;\n{told}", kind="forward")
