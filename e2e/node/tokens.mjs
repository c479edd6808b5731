// Gets access tokens with credentials of @azure/identity.
//
// Standard input: [{"credential": class name, "arguments": of its constructor, "scope"}]
// Standard output, in the same order: {"token", "again"} or {"name", "message"} of
// the error that a program would see. "again" tells whether a second call was
// answered from the credential's cache.
import * as identity from "@azure/identity";
import { answer } from "./io.mjs";

await answer(async ({ credential, arguments: args = [], scope }) => {
  try {
    const c = new identity[credential](...args);
    const { token } = await c.getToken(scope);
    return { token, again: (await c.getToken(scope)).token === token };
  } catch ({ name, message }) {
    return { name, message };
  }
});
