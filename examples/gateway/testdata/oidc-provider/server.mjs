// A real, certified OpenID server for the end-to-end tests: keys, clients and secret are made at start and die with it.
//
// It listens on loopback, writes one line of JSON to stdout when it is ready, and stops when its stdin closes, on
// SIGTERM or SIGINT, and after five minutes whatever happens. A caller therefore holds a pipe on its stdin.
//
//   {"issuer":"http://127.0.0.1:PORT","audience":"https://api.example.com","client_secret":"…"}

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

import Provider, { errors } from 'oidc-provider';

const AUDIENCE = 'https://api.example.com';
const OTHER_AUDIENCE = 'https://other.example.com'; // a good token that is meant for somebody else
const SCOPES = ['api:read', 'api:write'];
const LIFETIME_MS = 5 * 60 * 1000;

// Each client is served by the key of its own algorithm, so that one audience is reached under all of them. EdDSA and
// Ed25519 (RFC 9864) are two names for one operation: a key and a client each.
const ALGORITHMS = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519'],
  Ed25519: ['ed25519'],
};
const clientID = (alg) => `client-${alg.toLowerCase()}`;
const algOf = Object.fromEntries(Object.keys(ALGORITHMS).map((alg) => [clientID(alg), alg]));

console.info = console.error; // stdout holds the ready line and nothing else
console.log = console.error;

setTimeout(() => process.exit(0), LIFETIME_MS);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));

const secret = randomBytes(32).toString('base64url');
const keys = Object.entries(ALGORITHMS).map(([alg, [type, options]]) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg,
  use: 'sig',
  kid: `key-${alg.toLowerCase()}`,
}));

// The issuer's URL holds the port, so the socket comes first and the provider second.
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys },
    scopes: SCOPES,
    clients: Object.keys(algOf).map((id) => ({
      client_id: id,
      client_secret: secret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: SCOPES.join(' '),
    })),
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo(_ctx, resource, client) {
          if (resource !== AUDIENCE && resource !== OTHER_AUDIENCE) {
            throw new errors.InvalidTarget();
          }
          return {
            scope: SCOPES.join(' '),
            audience: resource,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: algOf[client.clientId] } },
          };
        },
      },
    },
  });
  provider.on('server_error', (_ctx, err) => console.error(err));
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer, audience: AUDIENCE, client_secret: secret })}\n`);
});
