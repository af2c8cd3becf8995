/** What agents tell of themselves, beside flows: kept by place, and added up over agents. */

import assert from "node:assert/strict";
import { VALUE } from "./aggregate.ts";
import { concat, datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord, tagged, type Values, words } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

function countersSample(records: Readonly<Record<string, Values>>): Uint8Array {
  const encoded = Object.entries(records).map(([name, values]) => skyfallRecord(name, values));
  return tagged(2, concat(words(1, 0x0300_0001, encoded.length), ...encoded));
}

Deno.test("FlowReceiver keeps each agent's losses by place and its differences, and takes unsent records for no loss on the way", () => {
  const { receiver, receive } = testReceiver();
  const records = [HOST, PROCESS, skyfallRecord("skyfall_flow", FLOW)];
  const told = (sequence: number, losses: Values, agent = Uint8Array.of(10, 0, 0, 1)) =>
    datagram([countersSample({
      skyfall_agent_counters: { kernel_events: 9 },
      skyfall_agent_losses: losses,
      skyfall_udp_counters: { udp_flows: 3 },
      skyfall_reconciliation: { active_opens_difference: 50, active_opens_persistent_difference: 4, estab_resets_persistent_difference: 1 },
    })], { agent, sequence });
  receive(
    datagram([flowSample(records, { pool: 1 })], { sequence: 1 }),
    told(2, { ring_lost_events: 7 }),
    datagram([flowSample(records, { pool: 12, drops: 14 })], { sequence: 13 }), // 10 records missing
    told(14, { ring_lost_events: 8, map_full_sockets: 1, send_lost_records: 6 }),
    told(1, { governor_dropped_flows: 5 }, Uint8Array.of(10, 0, 0, 2)),
  );
  const { missingRecords, agentDrops, agentLosses, agentUnreconciled } = receiver.streams.counts();
  assert.deepEqual([missingRecords, agentDrops, agentUnreconciled], [4, 14, 10]);
  assert.deepEqual(agentLosses, {
    ring_lost_events: 8,
    map_full_sockets: 1,
    missed_hook_runs: 0,
    udp_lost_datagrams: 0,
    udp_missed_calls: 0,
    governor_dropped_flows: 5,
    send_lost_records: 6,
  });
  assert.deepEqual([receiver.counts.agent_counters_received, receiver.counts.records_ignored], [12, 0]);
});

Deno.test("FlowReceiver ignores counter records that are cut or unknown, and takes in those beside them", () => {
  const { receiver, receive } = testReceiver();
  const cut = skyfallRecord("skyfall_agent_losses", { ring_lost_events: 7 }).slice(0, 20);
  new DataView(cut.buffer).setUint32(4, cut.length - 8);
  const good = skyfallRecord("skyfall_agent_losses", { ring_lost_events: 2 });
  const unknown = tagged(32_473 * 4_096 + 99, words(1, 2));
  receive(datagram([tagged(2, concat(words(1, 0x0300_0001, 3), cut, unknown, good))]));
  assert.equal(receiver.streams.counts().agentLosses.ring_lost_events, 2);
  assert.deepEqual([receiver.counts.agent_counters_received, receiver.counts.records_ignored], [1, 2]);
});

Deno.test("FlowReceiver reads datagrams of several agents that it was told to expect, and adds their flows when told", () => {
  const { receiver, table, identities } = testReceiver();
  const agents = 200, batch = 50;
  const services = (row: number) => identities.get(table.value(row, VALUE.identity)).serviceName;
  for (let sequence = 1; sequence <= 3; sequence++) {
    for (let first = 0; first < agents; first += batch) {
      const datagrams = Array.from({ length: batch }, (_, i) => {
        const process = skyfallRecord("skyfall_process", { index: 1, service_name: `service-${first + i}` });
        const flow = skyfallRecord("skyfall_flow", { ...FLOW, remote_port: 1 + first + i });
        return datagram([flowSample([HOST, process, flow])], { agent: Uint8Array.of(10, 0, 1, first + i), sequence });
      });
      const view = new DataView(concat(...datagrams).buffer), starts = new Int32Array(batch);
      datagrams.forEach((_, i) => starts[i] = i === 0 ? 0 : starts[i - 1]! + datagrams[i - 1]!.length);
      receiver.expect(view, starts, batch);
      datagrams.forEach((bytes, i) => receiver.read(view, starts[i]!, bytes.length, false));
      receiver.addFlows();
    }
    assert.equal(table.eventCount, sequence * agents);
  }
  assert.deepEqual(
    [...table.rows()].map((row) => [table.serverPort(row), table.value(row, VALUE.event_count), services(row)]).sort(),
    Array.from({ length: agents }, (_, i) => [1 + i, 3, `service-${i}`]).sort(),
  );
  const { received, lost, duplicated } = receiver.streams.counts();
  assert.deepEqual([received, lost, duplicated], [3 * agents, 0, 0]);
});
