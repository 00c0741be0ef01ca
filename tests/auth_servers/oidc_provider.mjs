// node's oidc-provider on loopback: node oidc_provider.mjs PORT SCOPE CLIENT
// Every MCP endpoint on loopback is a resource of it; anyone may register a client, and sign in with any password.

import { generateKeyPairSync, randomBytes } from "node:crypto";

import Provider, { errors } from "../conformance/node_modules/oidc-provider/lib/index.js";

const [port, scope, clientId] = process.argv.slice(2);
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: clientId,
      application_type: "native", // RFC 8252 §7.3: a redirect to loopback may be at any port
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: ["http://127.0.0.1/callback"],
    },
  ],
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(_, resource) {
        if (!/^http:\/\/127\.0\.0\.1:\d+\/mcp$/.test(resource)) throw new errors.InvalidTarget();
        return { scope, audience: resource, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } };
      },
    },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  jwks: { keys: [{ ...key, kid: "of-today", alg: "RS256", use: "sig" }] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ["openid", "offline_access", scope],
});

provider.listen(Number(port), "127.0.0.1");
