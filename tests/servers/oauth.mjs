// openid-client and oauth4webapi, as their users call them.
import assert from 'node:assert/strict'

const { MODULES, ISSUER, ALGORITHM, CLIENT, KEYS } = process.env
const openid = await import(`${MODULES}/openid-client/build/index.js`)
const oauth = await import(`${MODULES}/oauth4webapi/build/index.js`)
const keys = KEYS.split(' ')

const discover = (id, secret, authentication) =>
  openid.discovery(new URL(ISSUER), id, secret, authentication, { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] })

// The key is the secret or the id, in Basic or in the form.
const configurations = [
  await discover('gateway', CLIENT, openid.ClientSecretBasic(CLIENT)),
  await discover('gateway', CLIENT, openid.ClientSecretPost(CLIENT)),
  await discover('gateway', CLIENT),
  await discover(CLIENT, 'x', openid.ClientSecretBasic('x')),
  await discover(CLIENT, 'x', openid.ClientSecretPost('x')),
]
for (const configuration of configurations) {
  const told = await openid.tokenIntrospection(configuration, keys[0])
  assert.equal(told.active, true)
  assert.equal(told.scope, 'a')
  assert.equal(told.iss, ISSUER)
  assert.ok(told.exp - Date.now() / 1000 <= 60)
  assert.deepEqual(await openid.tokenIntrospection(configuration, 'nothing'), { active: false })
}
for (const [at, configuration] of configurations.slice(0, 2).entries()) {
  await openid.tokenRevocation(configuration, keys[at], { token_type_hint: 'access_token' })
  assert.deepEqual(await openid.tokenIntrospection(configuration, keys[at]), { active: false })
}
const wrong = await discover('gateway', 'wrong', openid.ClientSecretBasic('wrong'))
await assert.rejects(openid.tokenIntrospection(wrong, keys[2]), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' })
await assert.rejects(openid.tokenRevocation(wrong, keys[2]), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' })

// Signed answers (RFC 9701).
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
)
assert.deepEqual(server.introspection_signing_alg_values_supported, [ALGORITHM])
const client = { client_id: 'gateway', introspection_signed_response_alg: ALGORITHM }
const response = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(CLIENT), keys[2], insecure)
assert.equal(response.headers.get('content-type'), 'application/token-introspection+jwt')
const told = await oauth.processIntrospectionResponse(server, client, response)
assert.equal(told.active, true)
await oauth.validateApplicationLevelSignature(server, response, insecure)

console.log('done')
