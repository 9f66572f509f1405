-- Loads bulla into HAProxy. The second argument is the header in which haproxy.cfg says where the client is.

package.cpath = "/usr/lib/bulla/lib?.so;" .. package.cpath
local bulla = require("bulla_haproxy")
bulla.open("/etc/bulla/bulla.toml", "x-forwarded-for")

-- Says in the log what keeps revocations or keys from arriving, once for each problem.
core.register_task(function()
    local said = ""
    while true do
        local problem = bulla.problem()
        if problem ~= said then
            core.log(core.warning, problem == "" and "bulla is current again" or "bulla is not current: " .. problem)
            said = problem
        end
        core.sleep(2)
    end
end)
