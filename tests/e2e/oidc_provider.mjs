// oidc-provider, a certified server of OAuth 2.0, with a client that gets tokens and one that introspects and revokes them. It
// prints a line for each request.
const { MODULES, PORT, CLIENT, SECRET } = process.env
const { default: Provider } = await import(`${MODULES}/oidc-provider/lib/index.js`)

const client = (client_id, client_secret, grant_types) => ({ client_id, client_secret, grant_types, redirect_uris: [], response_types: [] })

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [client('shop', 'of the shop', ['client_credentials']), client(CLIENT, SECRET, [])],
  scopes: ['orders.read', 'orders.write'],
  ttl: { ClientCredentials: 3600 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
})
provider.use(async (context, next) => {
  await next()
  console.log(context.method, context.path, context.status)
})
provider.listen(Number(PORT), '127.0.0.1')
