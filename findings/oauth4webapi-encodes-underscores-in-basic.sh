#!/usr/bin/env bash
# oauth4webapi 3.8.8 (npm; openid-client is built on it) percent-encodes `-`, `_` and `.` in HTTP Basic client authentication.
# RFC 6749, section 2.3.1 asks for form encoding, under which these three stand for themselves. A server that does not decode
# the user name sees another client id, although the id holds no character that needs encoding.
#
# Seen: live%5Fa%2Db%2Ec:x%5Fy
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts oauth4webapi@3.8.8 >/dev/null 2>&1
cat >client.mjs <<'JS'
import http from 'node:http'
import * as oauth from 'oauth4webapi'
const server = http.createServer((request, response) => {
  console.log(Buffer.from(request.headers.authorization.slice(6), 'base64').toString())
  response.end('{}')
}).listen(0, '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  await oauth.introspectionRequest({ issuer, introspection_endpoint: `${issuer}/introspect` }, { client_id: 'live_a-b.c' },
    oauth.ClientSecretBasic('x_y'), 'token', { [oauth.allowInsecureRequests]: true })
  server.close()
})
JS
sent=$(node client.mjs)
echo "$sent"
[[ $sent == 'live%5Fa%2Db%2Ec:x%5Fy' ]]
