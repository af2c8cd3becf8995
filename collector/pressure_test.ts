/** Short of memory, the table folds in steps that rows and counters show, and loses no byte or event without a count. */

import assert from "node:assert/strict";
import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { FlowTable, FOLD, VALUE } from "./aggregate.ts";
import { SCAN_TARGETS } from "./scan_detector.ts";

const F = SKYFALL_FLOW.fields;
const ROWS = 4_096, EVENT_BYTES = 100 + 23;
const START_UNIX_US = 1_767_323_045_000_000;

/** Flows straight into a table, each of one client, server and port of IPv4. */
function fill(isBlocked: boolean) {
  const table = new FlowTable(ROWS, 60, 1);
  table.isBlocked = isBlocked;
  const view = new DataView(new ArrayBuffer(SKYFALL_FLOW.fixedSize));
  const u64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value));
  u64(F.period_start_unix_us.offset, START_UNIX_US);
  u64(F.period_end_unix_us.offset, START_UNIX_US + 1_000);
  u64(F.tx_bytes.offset, 100);
  u64(F.rx_bytes.offset, 23);
  view.setUint32(F.transport_protocol.offset, 6);
  view.setUint32(F.amounts_known.offset, 3);
  view.setUint32(F.role.offset, 1);
  for (const { offset } of [F.local_address, F.remote_address]) view.setUint32(offset + 8, 0xffff);
  let events = 0;
  const add = (client: number, server: number, port: number, clientPort = 40_000) => {
    view.setUint32(F.local_address.offset + 12, client);
    view.setUint32(F.remote_address.offset + 12, server);
    view.setUint32(F.local_port.offset, clientPort);
    view.setUint32(F.remote_port.offset, port);
    table.add(view, 0, 1, 1);
    events++;
  };
  const levels = () => Map.groupBy([...table.rows()], (row) => table.foldLevel(row));
  /** Sums of the rows themselves, the table's own totals, and what it counted as dropped. */
  const assertConserved = () => {
    let inRows = 0, bytesInRows = 0;
    for (const row of table.rows()) {
      inRows += table.value(row, VALUE.event_count);
      bytesInRows += table.value(row, VALUE.bytes_sent) + table.value(row, VALUE.bytes_received);
    }
    assert.equal(inRows, table.eventCount);
    assert.equal(bytesInRows, table.byteCount);
    assert.equal(inRows + table.counts.dropped_events, events);
    assert.equal(bytesInRows + table.counts.dropped_bytes, events * EVENT_BYTES);
  };
  return { table, add, levels, assertConserved };
}

Deno.test("FlowTable folds a client with more than 1,024 new targets to one row, once the table is 70 % full", () => {
  const { table, add, levels, assertConserved } = fill(false);
  for (let i = 0; i < ROWS * 0.7; i++) add(0x0a00_0000 + i, 0x0a01_0000, 443);
  for (let target = 0; target < 5_000; target++) add(0xc0a8_0001, 0x0b00_0000 + target, 22);
  assertConserved();
  const [scan] = levels().get(FOLD.scan) ?? [];
  assert.ok(scan !== undefined && levels().get(FOLD.scan)!.length === 1 && table.rowCount < ROWS * 0.7 + SCAN_TARGETS + 10);
  assert.deepEqual([table.serverPort(scan), table.value(scan, VALUE.event_count)], [0, table.counts.folded_scan_events]);
  const client = new DataView(new ArrayBuffer(32));
  table.copyClient(scan, client, 0);
  table.copyServer(scan, client, 16);
  assert.deepEqual([client.getUint32(12), client.getUint32(28)], [0xc0a8_0001, 0]);
});

Deno.test("FlowTable keeps 1,023 targets of one client apart however full it is", () => {
  const { table, add, levels } = fill(false);
  for (let i = 0; i < ROWS * 0.7; i++) add(0x0a00_0000 + i, 0x0a01_0000, 443);
  for (let target = 0; target < SCAN_TARGETS - 1; target++) add(0xc0a8_0001, 0x0b00_0000 + target, 22);
  assert.equal(levels().get(FOLD.scan), undefined);
  assert.equal(table.counts.folded_scan_events, 0);
});

Deno.test("FlowTable folds clients to their /24 from 85 % while the topic is behind, and from 92 % at any time", () => {
  for (const { isBlocked, from } of [{ isBlocked: true, from: 0.85 }, { isBlocked: false, from: 0.92 }]) {
    const { table, add, levels, assertConserved } = fill(isBlocked);
    for (let i = 0; i < ROWS; i++) add(0x0a00_0000 + i * 3, 0x0a01_0000, 443);
    const exact = levels().get(FOLD.none)!.length, folded = levels().get(FOLD.clientPrefix)!;
    assert.ok(Math.abs(exact - ROWS * from) <= 1, `${exact} exact rows`);
    assert.ok(folded.length < 10 && table.counts.folded_prefix_events === ROWS - exact);
    const client = new DataView(new ArrayBuffer(16));
    table.copyClient(folded[0]!, client, 0);
    assert.equal(client.getUint8(15), 0);
    assertConserved();
  }
});

Deno.test("FlowTable folds every client from 98 %, counts what no row is left for, and goes on adding to rows that are there", () => {
  const { table, add, levels, assertConserved } = fill(false);
  const random = randomNumbers(5);
  for (let i = 0; i < 40_000; i++) add(random(2 ** 32), 0x0a01_0000, 443);
  assert.equal(levels().get(FOLD.anyClient)?.length, 1);
  assertConserved();
  for (let i = 0; i < 1_000; i++) add(random(2 ** 32), random(2 ** 32), 1 + random(60_000));
  assert.equal(table.rowCount, ROWS);
  assert.ok(table.counts.dropped_events > 0);
  assertConserved();
  const before = table.counts.dropped_events;
  add(random(2 ** 32), 0x0a01_0000, 443);
  assert.equal(table.counts.dropped_events, before);
});

Deno.test("FlowTable cuts port lists to 256 above 70 %, and keeps all ports again below", () => {
  const { table, add, levels } = fill(false);
  for (let i = 0; i < ROWS * 0.7; i++) add(0x0a00_0000 + i, 0x0a01_0000, 443);
  add(1, 2, 3); // above it, one more row tells the port sets
  const portsOf = (client: number) => {
    for (let port = 1; port <= 300; port++) add(client, 0x0a01_0000, 443, port);
    const row = levels().get(FOLD.none)!.find((row) => table.portCount(row) >= 300)!;
    return [table.portCount(row), table.storedPortCount(row), row];
  };
  const [count, stored, row] = portsOf(0x0a00_0000);
  assert.deepEqual([count, stored], [301, 256]);
  table.remove(row!);
  for (const other of levels().get(FOLD.none)!) if (table.rowCount > ROWS / 2) table.remove(other);
  assert.deepEqual(portsOf(0x0a00_0000).slice(0, 2), [300, 300]);
});
