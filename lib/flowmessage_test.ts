/** FlowMessages, read back by the schema's own text: both directions, every column, nothing twice. */

import assert from "node:assert/strict";
import protobuf from "protobufjs";
import { encodeFlowMessages } from "./flowmessage.ts";
import { FLOWMESSAGE } from "./flowmessage.gen.ts";
import { MESSAGE_COLUMNS } from "./records.ts";
import { formatAddress, parseAddress } from "./ip_address.ts";
import { flowBatch } from "./testdata/flow_batch.ts";

const NOW_MS = 1_767_323_105_123;
const schema = protobuf.parse(await Deno.readTextFile(new URL("./flowmessage.proto", import.meta.url)), { keepCase: true }).root
  .lookupType("flowpb.FlowMessage");

/** What a message says, 64 bits and bytes as text. */
function read(value: Uint8Array): Record<string, unknown> {
  return schema.toObject(schema.decode(value), { longs: String, bytes: Array });
}

function readAll(batch: ReturnType<typeof flowBatch>) {
  return encodeFlowMessages(batch, NOW_MS).map(({ value, ...counts }) => ({ ...read(value), ...counts }) as Record<string, unknown>);
}

function bytesOf(address: string): number[] {
  const bytes = [...parseAddress(address)];
  return address.includes(":") ? bytes : bytes.slice(12);
}

/** A batch of one row of known values; those that are not given are what the seed makes of them. */
function oneRow(values: Record<string, number | string | readonly number[]>) {
  const batch = flowBatch(1, 7);
  const columns: Record<string, unknown> = { ...batch.columns };
  for (const column of MESSAGE_COLUMNS) {
    const value = values[column.name] ?? (column.name === "observer_address" ? "192.0.2.1" : undefined);
    if (value === undefined) continue;
    if (column.type === "VARCHAR") columns[column.name] = { codes: Int32Array.of(0), dictionary: [value] };
    else if (column.type === "BLOB") columns[column.name] = { bytes: parseAddress(String(value)) };
    else if (column.type === "INTEGER[]") {
      columns[column.name] = { offsets: Int32Array.of(0, Object(value).length), values: Int32Array.from(Object(value)) };
    } else if (column.type === "INTEGER") columns[column.name] = { values: Int32Array.of(Number(value)) };
    else columns[column.name] = { values: BigInt64Array.of(BigInt(Number(value))) };
  }
  return { rowCount: 1, columns: columns as typeof batch.columns };
}

const ROW = {
  client_ip: "10.0.0.1",
  server_ip: "10.0.0.2",
  server_port: 443,
  client_ports: [50_000],
  client_port_count: 1,
  network_transport: "tcp",
  bytes_sent: 1_000,
  bytes_received: 2 ** 52,
  segments_sent: 3,
  segments_received: 4,
  window_start: 1_767_323_045_000_001,
  window_end: 1_767_323_046_000_000,
  observer_address: "2001:db8::7",
  event_count: 5,
  connections_opened: 2,
  sampling_rate: 1,
};

Deno.test("encodeFlowMessages() tells each direction of a row as goflow2 would, with the row's numbers in the first alone", () => {
  const [forward, backward, ...others] = readAll(oneRow(ROW));
  assert.deepEqual(others, []);
  const both = {
    type: 1,
    sampling_rate: "1",
    sampler_address: bytesOf("2001:db8::7"),
    proto: 6,
    etype: 0x0800,
    time_received_ns: "1767323105123000000",
    time_flow_start_ns: "1767323045000001000",
    time_flow_end_ns: "1767323046000000000",
  };
  const here = {
    src_addr: bytesOf("10.0.0.1"),
    dst_addr: bytesOf("10.0.0.2"),
    src_port: 50_000,
    dst_port: 443,
    bytes: "1000",
    packets: "3",
  };
  const back = {
    src_addr: bytesOf("10.0.0.2"),
    dst_addr: bytesOf("10.0.0.1"),
    src_port: 443,
    dst_port: 50_000,
    bytes: String(2 ** 52),
    packets: "4",
    from_server: true,
  };
  const part = (message: Record<string, unknown>, like: object) =>
    Object.fromEntries(Object.keys(like).map((name) => [name, message[name]]));
  assert.deepEqual(part(forward!, { ...both, ...here }), { ...both, ...here });
  assert.deepEqual(part(backward!, { ...both, ...back }), { ...both, ...back });
  assert.deepEqual([forward!["connections_opened"], forward!["event_count"], forward!["from_server"]], ["2", "5", undefined]);
  assert.deepEqual([backward!["connections_opened"], backward!["event_count"], backward!["client_ports"]], [
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual([forward!["rows"], forward!["events"], backward!["rows"], backward!["events"]], [1, 5, 0, 0]);
});

Deno.test("encodeFlowMessages() names the client's port only where it was one, and keeps the list", () => {
  const [forward, backward] = readAll(oneRow({ ...ROW, client_ports: [50_000, 50_001, 60_999], client_port_count: 3 }));
  assert.deepEqual([forward!["src_port"], backward!["dst_port"], forward!["client_ports"]], [undefined, undefined, [
    50_000,
    50_001,
    60_999,
  ]]);
  const [cut] = readAll(oneRow({ ...ROW, client_port_count: 900 }));
  assert.equal(cut!["src_port"], undefined);
});

Deno.test("encodeFlowMessages() makes no message of a direction in which nothing came", () => {
  assert.equal(readAll(oneRow({ ...ROW, bytes_received: 0, segments_received: 0 })).length, 1);
  assert.equal(readAll(oneRow({ ...ROW, bytes_received: 0, segments_received: 1 })).length, 2);
});

Deno.test("encodeFlowMessages() tells IPv6 and UDP", () => {
  const [forward] = readAll(oneRow({ ...ROW, client_ip: "2001:db8::1", server_ip: "2001:db8::2", network_transport: "udp" }));
  assert.deepEqual([forward!["etype"], forward!["proto"], forward!["src_addr"]], [0x86dd, 17, bytesOf("2001:db8::1")]);
});

Deno.test("encodeFlowMessages() has a field for every column, and tells its value", () => {
  const elsewhere: Record<string, string> = {
    window_start: "time_flow_start_ns",
    window_end: "time_flow_end_ns",
    observer_address: "sampler_address",
    network_transport: "proto",
    client_ip: "src_addr",
    server_ip: "dst_addr",
    server_port: "dst_port",
    bytes_sent: "bytes",
    segments_sent: "packets",
    sampling_rate: "row_sampling_rate",
  };
  const backwards = new Set(["bytes_received", "segments_received"]);
  const values = Object.fromEntries(
    MESSAGE_COLUMNS.filter(({ type }) => type !== "BLOB" && type !== "INTEGER[]").map((
      { name, type },
      i,
    ) => [name, type === "VARCHAR" ? `text ${i}` : 1_000 + i]),
  );
  const [forward] = readAll(oneRow({ ...values, ...ROW, sampling_rate: 77 }));
  for (const { name, type } of MESSAGE_COLUMNS) {
    if (backwards.has(name)) continue;
    assert.ok(forward![elsewhere[name] ?? name] !== undefined, name);
    if (name in ROW || type === "BLOB") continue;
    assert.equal(String(forward![elsewhere[name] ?? name]), String(values[name]), name);
  }
  assert.deepEqual([forward!["sampling_rate"], forward!["row_sampling_rate"]], ["1", 77]);
});

Deno.test("encodeFlowMessages() gives each message of many rows its own bytes", () => {
  const batch = flowBatch(500, 3);
  const columns = { ...batch.columns, observer_address: { codes: new Int32Array(500), dictionary: ["10.9.9.9"] } };
  const messages = encodeFlowMessages({ rowCount: 500, columns }, NOW_MS);
  const read = messages.map(({ value }) => schema.toObject(schema.decode(value), { longs: Number, bytes: Array }));
  const forward = read.filter((message) => message["from_server"] === undefined);
  assert.equal(forward.length, 500);
  for (const [i, message] of forward.entries()) {
    assert.equal(message["bytes"], Number(columns.bytes_sent.values[i]));
    const address = columns.client_ip.bytes.subarray(16 * i, 16 * i + 16);
    assert.deepEqual(message["src_addr"], bytesOf(formatAddress(address)));
  }
  assert.equal(messages.reduce((sum, { events }) => sum + events, 0), Number(columns.event_count.values.reduce((a, b) => a + b)));
});

Deno.test("flowmessage.proto gives every field a number of its own, and ours none below 1100", () => {
  const fields = FLOWMESSAGE.nested.flowpb.nested.FlowMessage.fields;
  const ids = Object.values(fields).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.filter((id) => id > 112 && id < 1_100), []);
});
