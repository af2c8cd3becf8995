/** Lanes: each a stream of its own, exact in itself, and filled before it is sent. */

import assert from "node:assert/strict";
import { laneSubAgent } from "../lib/lanes.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { AUTHENTICATION_BYTES, SharedKey, verify } from "../lib/sflow/authentication.ts";
import { DATAGRAM_BYTES_MAX, DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { SKYFALL_AGENT_LOSSES } from "../lib/sflow/skyfall.gen.ts";
import { counterRecord } from "./encode.ts";
import type { Flow } from "./flow.ts";
import { LanedEncoder, type LaneLosses } from "./lanes.ts";
import { NO_LOSSES } from "../lib/sflow/agent_losses.ts";
import { makeFlow } from "./testdata/flow.ts";

const LANES = 4;
const NOTHING_LOST: LaneLosses = { otherDrops: 0, unsentOf: () => 0 };
const SOURCE = {
  agentAddress: parseAddress("10.0.0.1"),
  host: { host_id: new Uint8Array(16), boot_id: new Uint8Array(16), host_name: "a" },
  enterprise: DEFAULT_ENTERPRISE,
  interop: false,
  key: null,
};

/** Words of a datagram with one flow sample, or one counters sample, over IPv4. */
interface Told {
  readonly lane: number;
  readonly sequence: number;
  readonly sampleTag: number;
  readonly pool: number;
  readonly drops: number;
  readonly flowCount: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function flushed(encoder: LanedEncoder, losses = NOTHING_LOST, isAll = true): Told[] {
  const told: Told[] = [];
  for (const { bytes, subAgent, flowCount } of encoder.flush(1_000, losses, isAll)) {
    const view = new DataView(bytes.buffer, 0, bytes.length);
    assert.equal(view.getUint32(12), subAgent);
    told.push({
      lane: subAgent - laneSubAgent(0, LANES),
      sequence: view.getUint32(16),
      sampleTag: view.getUint32(28),
      pool: view.getUint32(48),
      drops: view.getUint32(52),
      flowCount,
      bytes: bytes.slice(),
    });
  }
  return told;
}

function flow(port: number, values: Partial<Flow> = {}): Flow {
  return makeFlow({ remote_port: port, role: 1, ...values });
}

function filled(flows: number, source = { ...SOURCE, key: null as SharedKey | null }): LanedEncoder {
  const encoder = new LanedEncoder(source, LANES);
  for (let i = 0; i < flows; i++) encoder.add(flow(1_000 + i));
  return encoder;
}

Deno.test("LanedEncoder gives each lane its own sequence and pool, and loses no flow", () => {
  const encoder = filled(400);
  const told = [...flushed(encoder), ...(encoder.add(flow(1)), flushed(encoder))];
  for (let lane = 0; lane < LANES; lane++) {
    const mine = told.filter((one) => one.lane === lane);
    let pool = 0;
    assert.deepEqual(mine.map(({ sequence }) => sequence), mine.map((_, i) => i + 1));
    for (const one of mine) assert.equal(one.pool, pool += one.flowCount);
    assert.ok(pool > 60, `lane ${lane} has ${pool} of 401 flows`);
  }
  assert.equal(told.reduce((sum, { flowCount }) => sum + flowCount, 0), 401);
  assert.equal(encoder.flowRecordCount, 401);
});

Deno.test("LanedEncoder puts both ends of a conversation into one lane, also where an end does not know its role", () => {
  const [here, there] = ["10.1.2.3", "10.3.2.1"].map(parseAddress);
  for (let port = 1_000; port < 1_050; port++) {
    const client = { local_address: here!, remote_address: there!, local_port: 40_000, remote_port: port };
    const server = { local_address: there!, remote_address: here!, local_port: port, remote_port: 40_000 };
    const lanes = [{ ...client, role: 1 }, { ...server, role: 2 }, { ...client, role: 0 }, { ...server, role: 0 }].map((values) => {
      const encoder = new LanedEncoder(SOURCE, LANES);
      encoder.add(makeFlow(values));
      return flushed(encoder)[0]!.lane;
    });
    assert.equal(new Set(lanes).size, 1);
  }
});

Deno.test("LanedEncoder lets flows that fill no datagram wait once, and full lanes not at all", () => {
  const encoder = filled(1);
  assert.deepEqual(flushed(encoder, NOTHING_LOST, false), []);
  for (let i = 0; i < 5; i++) encoder.add(flow(1_000));
  assert.equal(encoder.pendingFlowCount, 6);
  assert.deepEqual(flushed(encoder, NOTHING_LOST, false).reduce((sum, { flowCount }) => sum + flowCount, 0), 6, "5 fill one, and go");
  encoder.add(flow(1_000));
  assert.deepEqual(flushed(encoder, NOTHING_LOST, false), []);
  assert.equal(flushed(encoder, NOTHING_LOST, false).length, 1, "it has waited");
});

Deno.test("LanedEncoder tells a lane's own unsent records with it, and all other losses with lane 0, once", () => {
  const losses: LaneLosses = { otherDrops: 100, unsentOf: (subAgent) => subAgent - laneSubAgent(0, LANES) };
  const encoder = filled(100);
  const drops = new Map(flushed(encoder, losses).map(({ lane, drops }) => [lane, drops]));
  assert.deepEqual([...drops].sort(), [[0, 100], [1, 1], [2, 2], [3, 3]]);
  assert.deepEqual(flushed(encoder, losses), []);
  const later = flushed(encoder, { ...losses, otherDrops: 105 });
  assert.deepEqual(later.map(({ lane, drops, flowCount }) => [lane, drops, flowCount]), [[0, 105, 0]], "without a flow in its lane");
});

Deno.test("LanedEncoder tells counters with lane 0, and what a lane could not send with that lane", () => {
  const encoder = filled(0);
  let unsent = 0;
  const losses: LaneLosses = { otherDrops: 0, unsentOf: (subAgent) => subAgent === laneSubAgent(2, LANES) ? unsent : 0 };
  const recordsOf = (
    count: number,
  ) => [counterRecord(SKYFALL_AGENT_LOSSES, { ...NO_LOSSES, ring_lost_events: 9, send_lost_records: count })];
  const tell = () => {
    const told: number[][] = [];
    for (const { bytes, subAgent } of encoder.encodeCounters(recordsOf, 1, losses)) {
      const view = new DataView(bytes.buffer, 0, bytes.length),
        body = 28 + 8 + 12 + 8,
        { ring_lost_events: ring, send_lost_records: sent } = SKYFALL_AGENT_LOSSES.fields;
      told.push([subAgent - laneSubAgent(0, LANES), view.getUint32(body + ring.offset + 4), view.getUint32(body + sent.offset + 4)]);
    }
    return told;
  };
  assert.deepEqual(tell(), [[0, 9, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]]);
  assert.deepEqual(tell(), [[0, 9, 0]]);
  unsent = 7;
  assert.deepEqual(tell(), [[0, 9, 0], [2, 0, 7]]);
  assert.deepEqual(tell(), [[0, 9, 0]]);
});

Deno.test("LanedEncoder signs every datagram, and none becomes larger than it may be", () => {
  const key = new SharedKey(new Uint8Array(32).fill(7));
  const told = flushed(filled(200, { ...SOURCE, key }));
  assert.ok(told.length > 20);
  for (const { bytes } of told) {
    assert.ok(bytes.length <= DATAGRAM_BYTES_MAX);
    assert.ok(bytes.length > AUTHENTICATION_BYTES);
    const signature = verify(bytes, [key], DEFAULT_ENTERPRISE);
    assert.ok(signature !== null && Math.abs(signature.sentUnixUs / 1_000 - Date.now()) < 5_000);
  }
});
