/** Messages of table rows. */

import assert from "node:assert/strict";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { NO_PAIRS, pairEnds } from "./pair_ends.ts";
import { takeRows } from "./rows.ts";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "./testdata/datagram.ts";
import { testReceiver } from "./testdata/receiver.ts";

Deno.test("takeRows() makes more messages where long lists of ports would make one that is too large, and leaves nothing out", () => {
  const { table, identities, receive } = testReceiver();
  const servers = 60, ports = 9_000;
  for (let server = 0; server < servers; server++) {
    receive(
      datagram([flowSample([HOST, PROCESS, skyfallRecord("skyfall_flow", { ...FLOW, remote_port: 1 + server })])], {
        sequence: 1 + server,
      }),
    );
  }
  const rows = Array.from({ length: table.rowsEnd }, (_, row) => row).filter((row) => table.isUsed(row));
  for (const row of rows) for (let port = 1; port < ports; port++) table.ports.add(row, port);
  const expected = rows.reduce((sum, row) => sum + table.ports.storedCount(row), 0);
  const messages = takeRows(table, identities, pairEnds(table, rows, { ...NO_PAIRS }), 1);
  assert.ok(messages.every(({ value }) => value.length <= MESSAGE_BYTES_MAX), "a message is too large");
  const decoded = messages.map(({ value }) => decodeFlowBatch(value));
  assert.equal(decoded.reduce((sum, { rowCount, columns }) => sum + columns.client_ports.offsets[rowCount]!, 0), expected);
  assert.deepEqual([messages.reduce((sum, m) => sum + m.rows, 0), messages.reduce((sum, m) => sum + m.events, 0)], [servers, servers]);
});
