-- bulla inside a gateway that has LuaJIT: nginx with its Lua module, OpenResty, Kong, APISIX, Envoy's Lua filter.
--
--     local gate = require("bulla").open("/usr/lib/bulla/libbulla.so", "/etc/bulla/bulla.toml")   -- as root, before a fork
--     local orders = gate:expect("realm:live,scope:orders.read")                                  -- once for each route
--     gate:start()                                                                                -- in the process that serves
--     local answer = orders:check({ "Bearer live_…", nil }, "192.0.2.1")                          -- for each request
--
-- `orders:access()` and `gate:envoy(handle, …)` do all of it for a request of nginx or Envoy. Only `answer.status == 200` is a yes. An
-- answer holds until the next check. All that C points to lives as long as `gate` and `orders`: keep them where they live as long as
-- the gateway does.

local ffi = require("ffi")

ffi.cdef [[
typedef struct bulla_gate bulla_gate;
typedef struct bulla_expected bulla_expected;
typedef struct bulla_header { const char *name; size_t name_len; const char *value; size_t value_len; } bulla_header;
typedef struct bulla_answer {
    uint64_t issued_at, expires_at;
    const char *challenge;
    uint32_t version;
    uint16_t status, audiences_len, meta_len;
    uint8_t app_uuid[16];
    char app_id[37], api_key_id[48], realm[25], scopes[241], expires[32], audiences[241], meta[241], reason[32];
} bulla_answer;
uint32_t bulla2_abi(void);
int bulla2_gate_open(const char *settings_path, bulla_gate **gate, char *error, size_t error_size);
int bulla2_gate_shared(const char *settings_path, bulla_gate **gate, char *error, size_t error_size);
int bulla2_gate_start(bulla_gate *gate, char *error, size_t error_size);
void bulla2_gate_free(bulla_gate *gate);
int bulla2_expected_open(const bulla_gate *gate, const char *requirements, bulla_expected **expected, char *error, size_t error_size);
void bulla2_expected_free(bulla_expected *expected);
const char *bulla2_expected_header(const bulla_expected *expected, size_t at);
int bulla2_check_headers(const bulla_gate *gate, const bulla_expected *expected, const bulla_header *headers, size_t headers_len,
                         const char *address, uint64_t now, bulla_answer *answer);
void *dlopen(const char *file, int mode);
int64_t time(int64_t *at);
size_t strlen(const char *text);
]]

local C = ffi.C
local NOW_AND_FOR_EVER = 0x1002 -- RTLD_NOW, RTLD_NODELETE: threads of the library may outlive this state of Lua
local ACCEPTED = 0
local M = { headers = { "x-bulla-app-id", "x-bulla-api-key-id", "x-bulla-realm", "x-bulla-scopes", "x-bulla-expires-at", "x-bulla-assertion" } }

local function text_of(error)
    return "bulla: " .. ffi.string(error)
end

local Expected, Gate = {}, {}
Expected.__index, Gate.__index = Expected, Gate

local function load(library)
    if C.dlopen(library, NOW_AND_FOR_EVER) == nil then
        error("bulla: cannot load " .. library)
    end
    local lib = ffi.load(library)
    if lib.bulla2_abi() ~= 2 then
        error("bulla: " .. library .. " has another ABI than 2")
    end
    return lib
end

-- Opens a gate; a mistake in the settings is an error in Lua.
function M.open(library, settings)
    local lib, gate, why = load(library), ffi.new("bulla_gate *[1]"), ffi.new("char[512]")
    if lib.bulla2_gate_open(settings, gate, why, 512) ~= ACCEPTED then
        error(text_of(why))
    end
    return setmetatable({ lib = lib, gate = ffi.gc(gate[0], lib.bulla2_gate_free), routes = {} }, Gate)
end

-- The one gate of this process, for gateways with several states of Lua.
function M.shared(library, settings)
    local lib, gate, why = load(library), ffi.new("bulla_gate *[1]"), ffi.new("char[512]")
    if lib.bulla2_gate_shared(settings, gate, why, 512) ~= ACCEPTED then
        error(text_of(why))
    end
    return setmetatable({ lib = lib, gate = gate[0], routes = {} }, Gate)
end

-- Follows the feed from now on. Call it in the process that serves: threads do not survive a fork.
function Gate:start()
    local why = ffi.new("char[512]")
    if self.lib.bulla2_gate_start(self.gate, why, 512) ~= ACCEPTED then
        error(text_of(why))
    end
end

-- What a route requires, as in a path below /v1/authorize/.
function Gate:expect(requirements)
    local expected, why = ffi.new("bulla_expected *[1]"), ffi.new("char[512]")
    if self.lib.bulla2_expected_open(self.gate, requirements, expected, why, 512) ~= ACCEPTED then
        error(text_of(why))
    end
    local names = {}
    while self.lib.bulla2_expected_header(expected[0], #names) ~= nil do
        names[#names + 1] = ffi.string(self.lib.bulla2_expected_header(expected[0], #names))
    end
    return setmetatable({
        owner = self, -- the gate lives as long as what it gave
        lib = self.lib,
        gate = self.gate,
        expected = ffi.gc(expected[0], self.lib.bulla2_expected_free),
        names = names, -- the headers that the key is read from, which end at the gateway
        given = ffi.new("bulla_header[?]", #names),
        answer = ffi.new("bulla_answer"),
    }, Expected)
end

-- Checks the values of the headers in `names`, in their order, nil where there is none. Several values of one header stand joined by
-- a comma. It returns C texts: read them with `ffi.string`.
function Expected:check(values, address)
    local given, count, names = self.given, 0, self.names
    for at = 1, #names do
        local value = values[at]
        if value then
            local header = given[count]
            header.name, header.name_len, header.value, header.value_len = names[at], #names[at], value, #value
            count = count + 1
        end
    end
    local answer = self.answer
    if self.lib.bulla2_check_headers(self.gate, self.expected, given, count, address, C.time(nil), answer) ~= ACCEPTED
        and answer.status == 200 then
        answer.status = 503
    end
    return answer
end

-- nginx, OpenResty, Kong, APISIX: the access phase of a route. It goes by the functions that lua-resty-core declares and uses itself, as
-- they take and give C texts. A lua-resty-core that declares them otherwise makes an error of every request, and lets none in.
local get_request, elements, given, room = nil, nil, nil, 0
local truncated, value, value_len, why

local function prepare_for_nginx()
    require("resty.core")
    get_request = require("resty.core.base").get_request
    truncated, value, value_len, why = ffi.new("int[1]"), ffi.new("char *[1]"), ffi.new("size_t[1]"), ffi.new("char *[1]")
end

local function set(request, name, text)
    local outcome = C.ngx_http_lua_ffi_req_set_header(request, name, #name, text, C.strlen(text), nil, 0, 1, why)
    if outcome ~= 0 and outcome ~= -5 then -- NGX_OK, NGX_DECLINED
        error("bulla: cannot set " .. name)
    end
end

local function clear(request, name)
    local outcome = C.ngx_http_lua_ffi_req_set_header(request, name, #name, nil, 0, nil, 0, 1, why)
    if outcome ~= 0 and outcome ~= -5 then
        error("bulla: cannot remove " .. name)
    end
end

local function clear_from(request, names, first)
    for at = first, #names do
        clear(request, names[at])
    end
end

-- All headers, in nginx's own memory.
local function headers(request)
    local count = C.ngx_http_lua_ffi_req_get_headers_count(request, 0, truncated)
    if count > room then
        room = count * 2
        elements, given = ffi.new("ngx_http_lua_ffi_table_elt_t[?]", room), ffi.new("bulla_header[?]", room)
    end
    if count > 0 then
        C.ngx_http_lua_ffi_req_get_headers(request, elements, count, 1)
    end
    for at = 0, count - 1 do
        local element, header = elements[at], given[at]
        header.name, header.name_len = ffi.cast("const char *", element.key.data), element.key.len
        header.value, header.value_len = ffi.cast("const char *", element.value.data), element.value.len
    end
    return count
end

local address, lower = ffi.new("char[64]"), ffi.new("char[16]")

local function client(request)
    local outcome = C.ngx_http_lua_ffi_var_get(request, "remote_addr", 11, lower, 0, value, value_len, why)
    if outcome ~= 0 or value_len[0] > 63 then
        return nil
    end
    ffi.copy(address, value[0], value_len[0])
    address[value_len[0]] = 0
    return address
end

local function refuse(answer)
    if answer.challenge ~= nil then
        ngx.header["WWW-Authenticate"] = ffi.string(answer.challenge)
    end
    return ngx.exit(answer.status)
end

function Expected:access()
    if not get_request then
        prepare_for_nginx()
    end
    local request, answer = get_request(), self.answer
    local count = headers(request)
    local outcome = self.lib.bulla2_check_headers(self.gate, self.expected, given, count, client(request), C.time(nil), answer)
    if outcome ~= ACCEPTED or answer.status ~= 200 then
        return refuse(answer)
    end
    set(request, "X-Bulla-App-Id", answer.app_id)
    set(request, "X-Bulla-Api-Key-Id", answer.api_key_id)
    set(request, "X-Bulla-Realm", answer.realm)
    set(request, "X-Bulla-Scopes", answer.scopes)
    set(request, "X-Bulla-Expires-At", answer.expires)
    set(request, "X-Bulla-Assertion", answer.reason)
    -- Without a loop in it LuaJIT compiles this function as a whole.
    local names = self.names
    clear(request, names[1])
    if names[2] then
        clear(request, names[2])
    end
    if names[3] then
        clear_from(request, names, 3)
    end
end

-- Envoy's Lua filter. The route's metadata has the requirements; `address_header` is one that Envoy writes itself.
local function check_in_envoy(gate, handle, address_header)
    local requirements = handle:metadata():get("bulla")
    local route = requirements and gate.routes[requirements]
    if not route then
        if not requirements then
            error("the route's metadata has no `bulla`")
        end
        route = gate:expect(requirements)
        gate.routes[requirements] = route
    end
    -- Envoy joins the values of a header with commas.
    local headers, names, values = handle:headers(), route.names, {}
    for at = 1, #names do
        values[at] = headers:get(names[at])
    end
    local answer = route:check(values, headers:get(address_header))
    if answer.status ~= 200 then
        local challenge = answer.challenge ~= nil and ffi.string(answer.challenge) or nil
        return handle:respond({ [":status"] = tostring(answer.status), ["www-authenticate"] = challenge })
    end
    headers:replace("x-bulla-app-id", ffi.string(answer.app_id))
    headers:replace("x-bulla-api-key-id", ffi.string(answer.api_key_id))
    headers:replace("x-bulla-realm", ffi.string(answer.realm))
    headers:replace("x-bulla-scopes", ffi.string(answer.scopes))
    headers:replace("x-bulla-expires-at", ffi.string(answer.expires))
    headers:replace("x-bulla-assertion", "")
    for at = 1, #names do
        if values[at] then
            headers:remove(names[at])
        end
    end
end

-- Envoy goes on with a request after an error in Lua, so none may leave this.
function Gate:envoy(handle, address_header)
    local fine, why = pcall(check_in_envoy, self, handle, address_header)
    if not fine then
        handle:logErr("bulla: " .. tostring(why))
        handle:respond({ [":status"] = "503" })
    end
end

return M
