/** The agents that a stopping collector tells, and how often. */

import assert from "node:assert/strict";
import { laneSubAgent } from "../lib/lanes.ts";
import { AgentSources } from "./agent_sources.ts";
import { datagram } from "./testdata/datagram.ts";

const LANE = laneSubAgent(1, 4);

/** Sources 10.0.0.0 and after, each with the port 40,000; and who was told, by the last word of the address. */
function knownSources() {
  const told: number[] = [];
  const sources = new AgentSources(({ address, port }) => {
    assert.equal(address.subarray(0, 13).toHex(), "00000000000000000000ffff0a");
    told.push(new DataView(address.buffer).getUint32(12) & 0xff_ffff, port);
  });
  const note = (
    index: number,
    nowMs: number,
    { agent, subAgent = LANE, port = 40_000 } = {} as Partial<{ agent: Uint8Array; subAgent: number; port: number }>,
  ) => {
    const bytes = datagram([], { subAgent, ...(agent === undefined ? {} : { agent }) });
    sources.note(Uint32Array.of(0, 0, 0xffff, 0x0a00_0000 + index), port, new DataView(bytes.buffer), 0, bytes.length, nowMs);
  };
  const takeTold = () => told.splice(0);
  return { sources, note, takeTold };
}

Deno.test("AgentSources tells each lane's source once, by address and port, of either agent address family", () => {
  const { sources, note, takeTold } = knownSources();
  note(1, 1_000);
  note(1, 1_000);
  note(2, 1_000, { agent: new Uint8Array(16) });
  note(1, 1_000, { port: 40_001 });
  sources.leave(2_000);
  const told = takeTold();
  assert.deepEqual(new Set([0, 2, 4].map((i) => told.slice(i, i + 2).join())), new Set(["1,40000", "1,40001", "2,40000"]));
  assert.equal(sources.told, 3);
});

Deno.test("AgentSources tells no agent without lanes, and none that was silent for 5 minutes", () => {
  const { sources, note, takeTold } = knownSources();
  note(1, 300_000, { subAgent: 1 });
  note(2, 100_000);
  note(3, 100_002);
  sources.leave(400_001);
  assert.deepEqual(takeTold(), [3, 40_000]);
});

Deno.test("AgentSources tells who still sends again, once a second, and who begins to send", () => {
  const { sources, note, takeTold } = knownSources();
  note(1, 1_000);
  sources.leave(2_000);
  takeTold();
  note(1, 2_999);
  assert.deepEqual(takeTold(), []);
  note(1, 3_000);
  note(1, 3_001);
  note(2, 3_001);
  assert.deepEqual(takeTold(), [1, 40_000, 2, 40_000]);
});

Deno.test("AgentSources forgets, of more sources than it keeps, those that were longest silent", () => {
  const { sources, note, takeTold } = knownSources();
  for (let i = 0; i < 1_000_000; i++) note(i, 1_000 + i / 100);
  sources.leave(12_000);
  const told = takeTold().filter((_, i) => i % 2 === 0);
  assert.ok(told.length > 60_000 && told.length <= 65_536, `${told.length}`);
  assert.equal(new Set(told).size, told.length);
  assert.ok(told.filter((index) => index >= 900_000).length > 0.7 * told.length);
});
