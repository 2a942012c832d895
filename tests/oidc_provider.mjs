// npm's oidc-provider for the tests: one client, people as the tests name them; any password will do.
import { createServer } from 'node:http'
import { pathToFileURL } from 'node:url'
import { generateKeyPairSync } from 'node:crypto'

const told = JSON.parse(process.argv[2])
const { default: Provider } = await import(pathToFileURL(`${told.modules}/oidc-provider/lib/index.js`))
const server = createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
const provider = new Provider(issuer, {
  clients: [{
    client_id: told.client,
    client_secret: told.secret,
    redirect_uris: [`${told.base}/users/auth/company/callback`],
    post_logout_redirect_uris: [`${told.base}/`],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  jwks: { keys: [{ ...key, kid: 'of-the-tests', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: ['of-the-tests'] },
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email', 'email_verified'] },
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, ...(told.people[id] ?? {}) }) }),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
})
server.on('request', provider.callback())
console.log(`listening on ${server.address().port}`)
