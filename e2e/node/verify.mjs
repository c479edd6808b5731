// Verifies access tokens with jose, from their issuer's discovery document alone.
//
// Standard input: [{"issuer", "token", "audience", "at": unix seconds, 0 for now}]
// Standard output, in the same order: "" for an accepted token, else jose's
// code, followed by the claim that it did not take.
import { createRemoteJWKSet, jwtVerify } from "jose";
import { answer } from "./io.mjs";

const found = new Map();

async function discover(issuer) {
  if (!found.has(issuer)) {
    const response = await fetch(issuer.replace(/\/$/, "") + "/.well-known/openid-configuration");
    const document = await response.json();
    if (document.issuer !== issuer) throw new Error(`the document of ${issuer} is of ${document.issuer}`);
    found.set(issuer, {
      keys: createRemoteJWKSet(new URL(document.jwks_uri)),
      algorithms: document.id_token_signing_alg_values_supported,
    });
  }
  return found.get(issuer);
}

await answer(async ({ issuer, token, audience, at }) => {
  const { keys, algorithms } = await discover(issuer);
  try {
    await jwtVerify(token, keys, { issuer, audience, algorithms, ...(at && { currentDate: new Date(at * 1000) }) });
    return "";
  } catch (e) {
    return [e.code ?? e.message, e.claim].filter(Boolean).join(" ");
  }
});
