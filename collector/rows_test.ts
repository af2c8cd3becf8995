/** Messages of table rows. */

import assert from "node:assert/strict";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { MESSAGE_BYTES_MAX } from "../lib/topic/topic.ts";
import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { VALUE } from "./aggregate.ts";
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

Deno.test("RowMessages writes every column of every row as the table has it, for any number of rows", () => {
  for (const count of [1, 2, 3, 7, 64, 101]) {
    const { table, identities, receive } = testReceiver();
    for (let i = 0; i < count; i++) {
      const process = skyfallRecord("skyfall_process", { index: 1, pid: 10 + i, service_name: i % 3 === 0 ? "" : `service-${i % 5}` });
      const amounts = { tx_bytes: 1_000 + i, rx_bytes: i % 2 === 0 ? 2 ** 40 + i : i, srtt_us: i, retrans_segments: i, tx_segments: 2 + i };
      const flow = skyfallRecord("skyfall_flow", { ...FLOW, ...amounts, remote_port: 1 + i, local_port: 2_000 + i, role: 1 });
      receive(datagram([flowSample([HOST, process, flow])], { sequence: i + 1 }));
    }
    const rows = Int32Array.from(table.rows());
    const amounts = [...rows].map((row) =>
      [VALUE.bytes_sent, VALUE.bytes_received, VALUE.srtt_us_sum, VALUE.retransmits].map((place) => table.value(row, place))
    );
    const names = [...rows].map((row) => identities.get(table.value(row, VALUE.identity))).map((
      { serviceName, pid },
    ) => [serviceName, pid]);
    const ports = [...rows].map((row) => [table.serverPort(row), 1_999 + table.serverPort(row)]);
    const [message] = new RowMessages(table, identities, 1, "arrow").take(pairEnds(table, identities, rows, { ...NO_PAIRS }));
    const { rowCount, columns: c } = decodeFlowBatch(message!.value);
    assert.equal(rowCount, count);
    const each = <T>(of: (i: number) => T) => Array.from({ length: count }, (_, i) => of(i));
    assert.deepEqual(
      each((i) => [c.bytes_sent, c.bytes_received, c.srtt_us_sum, c.retransmits].map(({ values }) => Number(values[i]))),
      amounts,
      `${count} rows`,
    );
    assert.deepEqual(
      each((i) => [c.client_service_name.dictionary[c.client_service_name.codes[i]!] ?? null, c.process_pid.values[i]]),
      names,
      `${count} rows`,
    );
    assert.deepEqual(each((i) => [c.server_port.values[i], c.client_ports.values[c.client_ports.offsets[i]!]]), ports, `${count} rows`);
    assert.deepEqual(each((i) => c.schema_version.values[i]), each(() => FLOW_SCHEMA_VERSION));
  }
});
