/** Ranges are cut as asking each address at each time would have it. */

import assert from "node:assert/strict";
import { parseAddressRange } from "../lib/ip_address.ts";
import { cutRanges, RANGE_KEYS } from "./timed_ranges.ts";
import { z } from "zod";

const Item = z.object({ ...RANGE_KEYS, service: z.string() });

Deno.test("cutRanges() gives each address at each time the narrowest range that holds it, once", () => {
  const seed = 7;
  let state = seed;
  const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  for (let round = 0; round < 60; round++) {
    const seen = new Set<string>();
    const items = Array.from({ length: 12 }, (_, i) => {
      const bits = 28 + random(5), addresses = `10.0.0.${(random(16) >> (32 - bits)) << (32 - bits)}/${bits}`;
      const from = 1 + random(8), to = from + 1 + random(8);
      return { line: i, value: Item.parse({ addresses, service: `s${i}`, valid_from: day(from), valid_to: day(to) }) };
    }).filter(({ value }) => { // the same addresses twice only at different times: here, never
      const key = `${value.addresses.low}/${value.addresses.high}`;
      return !seen.has(key) && seen.add(key);
    });
    const cut = cutRanges("f", items, ({ service }) => service, "nested may stand");
    for (let host = 0; host < 16; host++) {
      const address = addressOf(`10.0.0.${host}`);
      for (let at = 0; at < 20; at++) {
        const ms = Date.parse(day(1)) + (at - 1) * 86_400_000;
        const expected = items.filter(({ value }) =>
          value.addresses.low <= address && address <= value.addresses.high && value.valid_from <= ms && ms < value.valid_to
        ).sort((a, b) =>
          Number(a.value.addresses.high - a.value.addresses.low - (b.value.addresses.high - b.value.addresses.low))
        )[0];
        const found = cut.filter((range) => range.low <= address && address <= range.high && range.fromMs <= ms && ms < range.toMs);
        assert.deepEqual(
          found.map(({ value }) => value),
          expected === undefined ? [] : [expected.value.service],
          `seed ${seed}, round ${round}`,
        );
      }
    }
  }
});

Deno.test("cutRanges() reaches the last address", () => {
  const items = [{ line: 1, value: Item.parse({ addresses: "::/0", service: "all" }) }];
  const [all] = cutRanges("f", items, ({ service }) => service, "nested may stand");
  assert.deepEqual([all!.low, all!.high], [0n, (1n << 128n) - 1n]);
});

Deno.test("cutRanges() takes two owners of an address one after the other, and refuses any overlap where none may be", () => {
  const at = (addresses: string, valid_from: string, valid_to: string, line: number) => ({
    line,
    value: Item.parse({ addresses, service: "s", valid_from, valid_to }),
  });
  const after = [at("10.0.0.0/8", day(1), day(2), 1), at("10.0.0.0/8", day(2), day(3), 2)];
  assert.equal(cutRanges("f", after, () => "", "none may overlap").length, 2);
  const nested = [at("10.0.0.0/8", day(1), day(3), 1), at("10.1.0.0/16", day(2), day(4), 2)];
  assert.throws(() => cutRanges("f", nested, () => "", "none may overlap"), /line 2: 10\.1\.0\.0\/16 overlaps 10\.0\.0\.0\/8 of line 1/);
});

function day(n: number): string {
  return `2026-01-${String(n).padStart(2, "0")}`;
}

function addressOf(text: string): bigint {
  return BigInt(`0x${Array.from(parseAddressRange(text).address, (byte) => byte.toString(16).padStart(2, "0")).join("")}`);
}
