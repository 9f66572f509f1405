#!/usr/bin/env bash
# HAProxy 2.6.12-1+deb12u4 (Debian), run as root with `user nobody`: a C module that Lua loads gets EAGAIN from pthread_create once
# HAProxy serves. It sets RLIMIT_NPROC to 0 so that nothing forks, and that limit counts threads. As root the limit does not hold, so a
# try as root succeeds. `insecure-fork-wanted`, whose documentation speaks of processes alone, lets threads begin.
#
# Seen: nobody: 11, nobody with insecure-fork-wanted: 0, root: 0
set -euo pipefail
package=haproxy=2.6.12-1+deb12u4
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
for name in "$package" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1; do apt-get download -qq "$name" >/dev/null 2>&1 || true; done
for file in *.deb; do dpkg -x "$file" .; done
LD_LIBRARY_PATH=$(find "$folder/usr/lib" -name '*.so*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
export LD_LIBRARY_PATH
cat >threads.c <<'C'
#include <pthread.h>
typedef struct lua_State lua_State;
extern void lua_pushinteger(lua_State *, long long);
extern void lua_pushcclosure(lua_State *, int (*)(lua_State *), int);
static void *run(void *nothing) { return nothing; }
static int begin(lua_State *state) {
    pthread_t thread;
    lua_pushinteger(state, pthread_create(&thread, NULL, run, NULL));
    return 1;
}
int luaopen_threads(lua_State *state) { lua_pushcclosure(state, begin, 0); return 1; }
C
gcc -shared -fPIC -o threads.so threads.c
cat >threads.lua <<LUA
package.cpath = "$folder/?.so"
local begin = require("threads")
core.register_task(function()
  print("pthread_create: " .. begin())
  io.stdout:flush()
end)
LUA
mv threads.lua load.lua
for settings in "user nobody" $'user nobody\n  insecure-fork-wanted' ""; do
    printf 'global\n  %s\n  lua-load %s/load.lua\ndefaults\n  mode http\n  timeout client 1s\n  timeout connect 1s\n  timeout server 1s\nfrontend f\n  bind unix@%s/socket\n' \
        "$settings" "$folder" "$folder" >haproxy.cfg
    : >log
    usr/sbin/haproxy -db -f haproxy.cfg >log 2>&1 &
    for _ in $(seq 50); do grep -q pthread_create log && break; sleep 0.1; done
    kill %% && wait %% 2>/dev/null || true
    result=$(grep -o 'pthread_create: [0-9]*' log | grep -o '[0-9]*$' | head -n 1)
    seen=${seen:+$seen }$result
done
echo "nobody, nobody with insecure-fork-wanted, root: $seen"
[[ $seen == "11 0 0" ]]
