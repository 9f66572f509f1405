"""Envoy, with one worker."""

import json

from parts import REQUIRED, ROOT, beside_before, found, jwt, many_keys, three
from setting import Setting

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


def cluster(name, port=None, http2=False, socket=None):
    """What is at a port of this machine, or at a Unix socket."""
    address = {"pipe": {"path": str(socket)}} if socket else {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoint = {"endpoint": {"address": address}}
    made = {"name": name, "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}}
    if http2:
        made["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}}
    return made


def filter_of(name, kind, **fields):
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{EXTENSIONS}.http.{kind}", **fields}}


def configuration(port, filters, clusters, route):
    filters = [*filters, filter_of("router", "router.v3.Router")]
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, **route}
    manager = {"@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "gateway",
               "use_remote_address": True, "http_filters": filters,
               "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}}
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}})


def gateway(parts, name, filters=(), clusters=(), route=(), files=(), environment=None, good=None, **more):
    program = found(parts.folder_of_parts / "bin/envoy", "envoy")

    def start(folder, port):
        for file, text in files:
            (folder / file).write_text(text.replace("FOLDER", str(folder)))
        text = configuration(port, filters, list(clusters), dict(route)).replace("FOLDER", str(folder))
        (folder / "envoy.json").write_text(text)
        return [program, "-c", folder / "envoy.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]

    return Setting("Envoy", name, start, good or parts.good, environment=environment or {}, **more)


def settings(parts):
    yield gateway(parts, "plain", kind="plain")
    keys = [{"key": key, "client": f"app-{at}"} for at, key in enumerate(many_keys(parts.good.key))]
    api_key_auth = filter_of("api_key_auth", "api_key_auth.v3.ApiKeyAuth", credentials=keys,
        key_sources=[{"header": "authorization"}], forwarding={"header": "x-bulla-app-id", "hide_credentials": True})
    yield gateway(parts, "api_key_auth, 1,000 keys", [api_key_auth], kind="own")
    token, key_set = jwt(parts.folder)
    jwt_authn = filter_of("jwt_authn", "jwt_authn.v3.JwtAuthentication", providers={"bulla": {
        "issuer": "https://bulla.example", "local_jwks": {"inline_string": key_set}, "forward": False,
        "claim_to_headers": [{"header_name": "x-bulla-app-id", "claim_name": "sub"}]}},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "bulla"}}])
    yield gateway(parts, "jwt_authn, RS256", [jwt_authn], kind="own", shows=[f"Authorization: Bearer {token}"])
    context = {"envoy.filters.http.ext_authz": {"@type": f"{EXTENSIONS}.http.ext_authz.v3.ExtAuthzPerRoute",
                                                "check_settings": {"context_extensions": {"bulla": REQUIRED}}}}
    allowed = {"patterns": [{"exact": "authorization"}, {"exact": "x-api-key"}]}
    common = {"failure_mode_allow": False, "transport_api_version": "V3", "allowed_headers": allowed}
    grpc = filter_of("ext_authz", "ext_authz.v3.ExtAuthz", grpc_service={"envoy_grpc": {"cluster_name": "bulla"}, "timeout": "5s"}, **common)
    http = filter_of("ext_authz", "ext_authz.v3.ExtAuthz", http_service={
        "path_prefix": f"/v1/authorize/{REQUIRED}", "server_uri": {"uri": "http://127.0.0.1", "cluster": "bulla", "timeout": "5s"},
        "authorization_response": {"allowed_upstream_headers": {"patterns": [{"prefix": "x-bulla-"}]}}}, **common)
    gone = {"request_headers_to_remove": ["authorization", "x-api-key"]}

    def asks(deployment, good, name, check, route, http2, unix=False, **more):
        bulla = cluster("bulla", deployment.port, http2, deployment.socket if unix else None)
        return gateway(parts, name, [check], [bulla], route, good=good, **more)

    yield from beside_before(parts, asks, "ext_authz, gRPC", grpc, {"typed_per_filter_config": context}, True)
    yield from beside_before(parts, asks, "ext_authz, HTTP", http, gone, False)
    # Asked over a Unix socket, which is held against the same program's port.
    yield asks(parts.service, parts.good, "ext_authz, gRPC, Unix socket", grpc, {"typed_per_filter_config": context}, True, True, kind="forward")
    yield asks(parts.service, parts.good, "ext_authz, HTTP, Unix socket", http, gone, False, True, kind="forward")
    library = parts.modules / "libbulla_envoy.so"
    google = "type.googleapis.com/google.protobuf"
    module_config = {"module": {"local": {"filename": str(library)}}, "do_not_close": True}

    def module(settings, name, good, **more):
        own = filter_of("dynamic_modules", "dynamic_modules.v3.DynamicModuleFilter", dynamic_module_config=module_config, filter_name="bulla",
                        filter_config={"@type": f"{google}.Struct", "value": {"settings": str(settings), "metadata": ["app_id"]}})
        of_route = {own["name"]: {"@type": f"{EXTENSIONS}.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
                                  "dynamic_module_config": module_config, "filter_config": {"@type": f"{google}.StringValue", "value": REQUIRED}}}
        return gateway(parts, name, [own], route={"typed_per_filter_config": of_route}, good=good, **more)

    yield from three(parts, "bulla inside", module, [library], kind="module")

    def ffi(settings, name, good, **more):
        script = f"""package.path = "{ROOT}/docs/examples/modules/luajit/?.lua;" .. package.path
local bulla = require("bulla").shared("{parts.c_abi}", "{settings}")
bulla:start()
function envoy_on_request(handle)
  bulla:envoy(handle, "x-forwarded-for")
end"""
        lua = filter_of("lua", "lua.v3.Lua", default_source_code={"inline_string": script})
        route = {"metadata": {"filter_metadata": {"envoy.filters.http.lua": {"bulla": REQUIRED}}}}
        return gateway(parts, name, [lua], route=route, good=good, **more)

    yield from three(parts, "Lua and ffi", ffi, [parts.c_abi], kind="module")
