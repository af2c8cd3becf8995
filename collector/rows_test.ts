/** Messages of table rows. */

import assert from "node:assert/strict";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { NO_PAIRS, pairEnds } from "./pair_ends.ts";
import { takeRows } from "./rows.ts";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

const SERVERS = 60, PORTS = 5_000, PORTS_A_DATAGRAM = 100;
/** A table of so many rows has room for the ports. */
const ROWS_MAX = 1 << 15;
/** Where a datagram of an IPv4 agent has its sequence number (sFlow version 5, sample_datagram_v5). */
const SEQUENCE_AT = 16;

/** A datagram of flows from some ports to a server, by the server's port. */
function datagramOf(firstPort: number, serverPort: number): Uint8Array {
  const flows = Array.from(
    { length: PORTS_A_DATAGRAM },
    (_, i) => skyfallRecord("skyfall_flow", { ...FLOW, local_port: firstPort + i, remote_port: serverPort }),
  );
  return datagram([flowSample([HOST, PROCESS, ...flows])]);
}

Deno.test("takeRows() makes more messages where long lists of ports would make one that is too large, and leaves nothing out", () => {
  const { table, identities, receive } = testReceiver(ROWS_MAX);
  let sequence = 0;
  for (let port = 1; port <= PORTS; port += PORTS_A_DATAGRAM) {
    const one = datagramOf(port, 1), two = datagramOf(port, 2);
    const serverPortsAt = [...one.keys()].filter((i) => one[i] !== two[i]);
    for (let server = 1; server <= SERVERS; server++) {
      for (const at of serverPortsAt) one[at] = server;
      new DataView(one.buffer).setUint32(SEQUENCE_AT, ++sequence);
      receive(one);
    }
  }
  const messages = takeRows(table, identities, pairEnds(table, [...table.rows()], { ...NO_PAIRS }), 1);
  assert.ok(messages.length > 1 && messages.every(({ value }) => value.length <= MESSAGE_BYTES_MAX));
  const decoded = messages.map(({ value }) => decodeFlowBatch(value));
  const sum = (of: (i: number) => number) => messages.reduce((total, _, i) => total + of(i), 0);
  assert.deepEqual([
    sum((i) => messages[i]!.rows),
    sum((i) => messages[i]!.events),
    sum((i) => decoded[i]!.rowCount),
    sum((i) => decoded[i]!.columns.client_ports.offsets[decoded[i]!.rowCount]!),
  ], [SERVERS, SERVERS * PORTS, SERVERS, SERVERS * PORTS]);
});
