/** Lanes are the same at both ends, and even. */

import assert from "node:assert/strict";
import { parseAddress } from "./ip_address.ts";
import { laneOf } from "./lanes.ts";

Deno.test("laneOf() is the same from both ends, over IPv4 and IPv6", () => {
  const pairs = [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"], ["::1", "127.0.0.1"]].map((pair) => pair.map(parseAddress));
  for (const [a, b] of pairs) {
    for (let port = 1; port < 200; port++) assert.equal(laneOf(6, a!, b!, port, 64), laneOf(6, b!, a!, port, 64));
  }
});

Deno.test("laneOf() gives values that agents of other versions must give too", () => {
  const [a, b] = ["10.0.0.1", "10.0.0.2"].map(parseAddress);
  assert.deepEqual([443, 80, 5_432, 6_379].map((port) => laneOf(6, a!, b!, port, 64)), [24, 53, 21, 9]);
});

Deno.test("laneOf() spreads the conversations of a network evenly, by address, by port and by protocol", () => {
  const counts = new Uint32Array(4);
  for (let host = 0; host < 100; host++) {
    for (const port of [22, 53, 80, 443, 3_306, 5_432, 6_379, 8_080, 9_092, 11_211]) {
      for (const protocol of [6, 17]) counts[laneOf(protocol, parseAddress("10.1.0.9"), parseAddress(`10.2.0.${host}`), port, 4)]!++;
    }
  }
  for (const count of counts) assert.ok(count > 430 && count < 570, `${counts}`);
});
