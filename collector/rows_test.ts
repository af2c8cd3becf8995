/** Messages of table rows. */

import assert from "node:assert/strict";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { NO_PAIRS, pairEnds } from "./pair_ends.ts";
import { RowMessages } from "./rows.ts";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

Deno.test("RowMessages makes more messages where long lists of ports would make one that is too large, and leaves nothing out", () => {
  const { table, identities, receiver } = testReceiver(8_192);
  const servers = 60, ports = 9_000;
  const bytes = datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", FLOW)])]), view = new DataView(bytes.buffer);
  const flowAt = bytes.length - SKYFALL_FLOW.fixedSize, { group } = identities.get(identities.host(view, 0, 0, 8, 4));
  receiver.receive(view, 0, bytes.length, false); // the flow is as one that was received
  table.remove(0);
  for (let server = 0; server < servers; server++) {
    for (let port = 0; port < ports; port++) {
      view.setUint32(flowAt + SKYFALL_FLOW.fields.local_port.offset, 1_000 + port);
      view.setUint32(flowAt + SKYFALL_FLOW.fields.remote_port.offset, 1 + server);
      table.add(view, flowAt, group, 0);
    }
  }
  const rows = [...table.rows()], expected = servers * ports;
  const messages = new RowMessages(table, identities, 1, "arrow").take(pairEnds(table, identities, rows, { ...NO_PAIRS }));
  assert.ok(messages.every(({ value }) => value.length <= MESSAGE_BYTES_MAX), "a message is too large");
  const decoded = messages.map(({ value }) => decodeFlowBatch(value));
  assert.equal(decoded.reduce((sum, { rowCount, columns }) => sum + columns.client_ports.offsets[rowCount]!, 0), expected);
  assert.deepEqual([messages.reduce((sum, m) => sum + m.rows, 0), messages.reduce((sum, m) => sum + m.events, 0)], [
    servers,
    servers * ports,
  ]);
});
