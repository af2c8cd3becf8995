/** OpenSSL signs as the runtime does. */

import assert from "node:assert/strict";
import { SharedKey } from "../lib/sflow/authentication.ts";
import { openHmacSha256 } from "./libcrypto.ts";

Deno.test("libcrypto makes the same signatures as the runtime", () => {
  const hmac = openHmacSha256();
  if (hmac === null) return; // a host without OpenSSL 3 takes the runtime's
  for (const length of [0, 1, 63, 64, 65, 1_336, 65_507]) {
    const bytes = crypto.getRandomValues(new Uint8Array(length)), secret = crypto.getRandomValues(new Uint8Array(40));
    assert.deepEqual(new SharedKey(secret, hmac).mac(bytes).toHex(), new SharedKey(secret).mac(bytes).toHex());
    assert.deepEqual(
      new SharedKey(secret, hmac).mac(bytes.subarray(length >> 1)).toHex(),
      new SharedKey(secret).mac(bytes.subarray(length >> 1)).toHex(),
    );
  }
});
