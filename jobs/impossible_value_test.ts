/** What no measurement can have given is found, and nothing else. */

import assert from "node:assert/strict";
import type { FlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { impossibleValue } from "./impossible_value.ts";

const ROWS = 5;

function changed(change: (columns: FlowBatch["columns"]) => void): string | null {
  const batch = flowBatch(ROWS, 1);
  change(batch.columns);
  return impossibleValue(batch);
}

Deno.test("impossibleValue() finds nothing in rows as a collector sends them", () => {
  for (let seed = 0; seed < 20; seed++) assert.equal(impossibleValue(flowBatch(50, seed)), null);
});

const CASES: readonly (readonly [string, (columns: FlowBatch["columns"]) => void, RegExp])[] = [
  ["a negative amount", (c) => c.bytes_sent.values[3] = -1n, /"bytes_sent" row 3 has -1, needed 0 to 1125899906842623/],
  ["an amount that no minute can bring", (c) => c.bytes_received.values[1] = 1n << 50n, /"bytes_received" row 1 has 1125899906842624/],
  ["a negative number of 32 bits", (c) => c.client_port_count.values[0] = -7, /"client_port_count" row 0 has -7/],
  ["a window that ends before it begins", (c) => c.window_end.values[2] = c.window_start.values[2]! - 1n, /"window_end" row 2/],
  ["a time before 1970", (c) => c.window_start.values[1] = -1n, /"window_start" row 1/],
  ["a time that the lake has no folder for", (c) => c.window_start.values[1] = 1n << 62n, /"window_start" row 1/],
  ["a port of the service beyond 65535", (c) => c.server_port.values[4] = 65_536, /"server_port" value 4 has 65536/],
  ["a negative port", (c) => c.server_port.values[0] = -1, /"server_port" value 0 has -1/],
  ["a client's port beyond 65535", (c) => c.client_ports.values[0] = 70_000, /"client_ports" value 0 has 70000/],
];

for (const [what, change, message] of CASES) {
  Deno.test(`impossibleValue() finds ${what}`, () => {
    assert.match(String(changed(change)), message);
  });
}

Deno.test("impossibleValue() takes the greatest amount that a minute may bring", () => {
  assert.equal(changed((c) => c.bytes_sent.values[0] = (1n << 50n) - 1n), null);
});

Deno.test("impossibleValue() does not look at what a null hides", () => {
  assert.equal(
    changed((c) => {
      c.peer_bytes_sent.values[2] = -1n;
      c.peer_bytes_sent.valid![2] = 0;
    }),
    null,
  );
});

Deno.test("impossibleValue() takes ids, which may be of all bits, as they are", () => {
  assert.equal(changed((c) => c.process_user_id.values[0] = -2), null);
});
