// A real, certified OpenID server for the end-to-end tests: keys, clients and secret are made at start and die with it.
//
// It listens on loopback, writes one line of JSON to stdout when it is ready, and stops when its stdin closes, on
// SIGTERM or SIGINT, and after five minutes whatever happens. A caller therefore holds a pipe on its stdin.
//
//   {"issuer":"http://127.0.0.1:PORT","audience":"https://api.example.com","client_secret":"…"}
//
// A test may bring, in its environment:
//
//   OP_CLIENTS  further clients: an array of their metadata (RFC 7591), with access_token_ttl in seconds
//               and access_token_alg
//   OP_TLS      {"key":"…","cert":"…"} in PEM: the token endpoint is at a second port too, which asks for a certificate
//               and has a name of its own in the metadata (RFC 8705 section 5); cert is the clients' authority as well
//   OP_PORT     the port to listen on, OP_SECRET the secret of the clients, and OP_KEYS an array of private JWKs in the
//               place of its own keys: so that it can be started once more, as the same issuer
//   OP_SECONDS  how long it lives at most, in the place of five minutes
//
// GET /token-requests tells how many there were. PUT /keys, with an array of private JWKs, replaces all keys: of several
// for one algorithm, the first one signs.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import process from 'node:process';
import { json } from 'node:stream/consumers';

import Provider, { errors } from 'oidc-provider';

const AUDIENCE = 'https://api.example.com';
const OTHER_AUDIENCE = 'https://other.example.com'; // a good token that is meant for somebody else
const SCOPES = ['api:read', 'api:write'];
const LIFETIME_MS = Number(process.env.OP_SECONDS ?? 5 * 60) * 1000;

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

const secret = process.env.OP_SECRET ?? randomBytes(32).toString('base64url');
const ownKeys = () => Object.entries(ALGORITHMS).map(([alg, [type, options]]) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg,
  use: 'sig',
  kid: `key-${alg.toLowerCase()}`,
}));
const firstKeys = process.env.OP_KEYS ? JSON.parse(process.env.OP_KEYS) : ownKeys();

const COMMON = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [], scope: SCOPES.join(' ') };
const clients = [
  ...Object.keys(algOf).map((id) => ({
    client_id: id,
    client_secret: secret,
    token_endpoint_auth_method: 'client_secret_basic',
    ...COMMON,
  })),
  ...JSON.parse(process.env.OP_CLIENTS ?? '[]').map((metadata) => ({ ...COMMON, ...metadata })),
];

const tls = process.env.OP_TLS && JSON.parse(process.env.OP_TLS);
const certificateOf = (ctx) => ctx.socket.getPeerX509Certificate?.();
const mutualTLS = {
  enabled: true,
  certificateBoundAccessTokens: true,
  selfSignedTlsClientAuth: true,
  tlsClientAuth: true,
  getCertificate: certificateOf,
  certificateAuthorized: (ctx) => ctx.socket.authorized === true,
  certificateSubjectMatches: (ctx, property, expected) =>
    property === 'tls_client_auth_san_dns' && certificateOf(ctx).subjectAltName === `DNS:${expected}`,
};

const listen = (server, i) => new Promise((resolve) => {
  server.listen(i === 0 ? Number(process.env.OP_PORT ?? 0) : 0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`));
});

// The issuer's URL holds the port, so the sockets come first and the provider second.
const servers = [createServer()];
if (tls) {
  servers.push(createTLSServer({ ...tls, ca: tls.cert, requestCert: true, rejectUnauthorized: false }));
}
Promise.all(servers.map(listen)).then(([host, hostTLS]) => {
  const issuer = `http://${host}`;
  const make = (keys) => new Provider(issuer, {
    jwks: { keys },
    scopes: SCOPES,
    clients,
    extraClientMetadata: { properties: ['access_token_ttl', 'access_token_alg'] },
    ttl: { ClientCredentials: (_ctx, _token, client) => client.access_token_ttl ?? 600 },
    ...(tls && {
      clientAuthMethods: [
        'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
        'tls_client_auth', 'self_signed_tls_client_auth',
      ],
      discovery: { mtls_endpoint_aliases: { token_endpoint: `https://${hostTLS}/token` } },
    }),
    features: {
      ...(tls && { mTLS: mutualTLS }),
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
            jwt: { sign: { alg: client.access_token_alg ?? algOf[client.clientId] ?? 'ES256' } },
          };
        },
      },
    },
  });
  const serve = (keys) => {
    const provider = make(keys);
    provider.on('server_error', (_ctx, err) => console.error(err));
    return provider.callback();
  };
  let answer = serve(firstKeys);
  let tokenRequests = 0;
  for (const server of servers) {
    server.on('request', (req, res) => {
      if (req.url === '/token-requests') {
        res.end(String(tokenRequests));
        return;
      }
      if (req.url === '/keys' && req.method === 'PUT') {
        json(req).then((keys) => {
          answer = serve(keys);
          res.end();
        }).catch((err) => {
          res.statusCode = 400;
          res.end(String(err));
        });
        return;
      }
      if (req.url === '/token') {
        tokenRequests += 1;
      }
      answer(req, res);
    });
  }
  process.stdout.write(`${JSON.stringify({ issuer, audience: AUDIENCE, client_secret: secret })}\n`);
});
