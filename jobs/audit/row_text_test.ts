/** Numbers, addresses and texts are written as SQL casts them. */

import assert from "node:assert/strict";
import { RowText } from "./row_text.ts";

function written(write: (text: RowText) => void): string {
  const text = new RowText();
  write(text);
  return new TextDecoder().decode(text.bytes);
}

Deno.test("RowText writes numbers of 32 and 64 bits as decimals", () => {
  for (const value of [0, 7, 10, 999_999_999, 1_000_000_000, 2_147_483_647, -1, -2_147_483_648]) {
    assert.equal(written((text) => text.int32(value)), String(value));
  }
  for (
    const value of [0n, 1n << 31n, 1n << 32n, 10n ** 18n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, -1n, -(2n ** 63n), 5_000_000_000n]
  ) {
    const halves = new Int32Array(BigInt64Array.of(7n, value).buffer);
    assert.equal(written((text) => text.int64(halves, 2)), String(value));
  }
});

Deno.test("RowText writes what is longer than its memory", () => {
  const long = "0123456789abcdef".repeat(1_000), bytes = new TextEncoder().encode(long);
  assert.equal(
    written((text) => {
      for (let i = 0; i < 3; i++) text.text(bytes);
      text.comma();
      text.hex(Uint8Array.of(0, 0x1f, 0xa0), 1, 3);
    }),
    `${long}${long}${long},1FA0`,
  );
});
