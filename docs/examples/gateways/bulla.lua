-- Asks bulla whether a request may pass, and sets the identity headers. haproxy.cfg says what is required.

-- bulla's `data.listen` is this Unix socket. Over a port each request would take longer, and HAProxy 2.6 would try for three seconds
-- while bulla is away.
local BULLA = "unix@/run/bulla/data.sock"
-- HAProxy 2.6 tries four times: an answer that does not come is a 504 after ten seconds.
local TIMEOUT = 2500
local ASKED = { "authorization", "x-api-key", "x-forwarded-for" }
local IDENTITY = {
    "x-bulla-app-id", "x-bulla-api-key-id", "x-bulla-realm", "x-bulla-scopes", "x-bulla-expires-at", "x-bulla-assertion",
}
local TOLD = { "www-authenticate", "retry-after" }

-- Every value of a header: one that stands there twice has to reach bulla twice.
local function values(headers, name)
    local all = {}
    for _, value in pairs(headers[name] or {}) do
        table.insert(all, value)
    end
    return all
end

local function refuse(txn, status, headers)
    local reply = txn:reply({ status = status })
    for _, name in ipairs(TOLD) do
        for _, value in ipairs(values(headers, name)) do
            reply:add_header(name, value)
        end
    end
    txn:done(reply)
end

core.register_action("bulla", { "http-req" }, function(txn, required)
    local own, asked = txn.http:req_get_headers(), {}
    for _, name in ipairs(ASKED) do
        local all = values(own, name)
        if #all > 0 then
            asked[name] = all
        end
    end
    local answer = core.httpclient():get({
        url = "http://bulla/v1/authorize/" .. required,
        dst = BULLA,
        headers = asked,
        timeout = TIMEOUT,
    })
    if answer.status ~= 200 then
        -- 0 is no answer.
        return refuse(txn, answer.status >= 400 and answer.status or 503, answer.headers or {})
    end
    for _, name in ipairs(IDENTITY) do
        txn.http:req_set_header(name, values(answer.headers, name)[1] or "")
    end
    txn:set_var("txn.bulla", "accepted")
end, 1)
