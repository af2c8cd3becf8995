/** The agent's datagrams are what lib/sflow/skyfall.x says, as read by a reader that is driven by that file. */

import assert from "node:assert/strict";
import { dataFormat, DATAGRAM_BYTES_MAX, DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { parseXdr } from "../lib/sflow/xdr.ts";
import { counterRecord, DatagramEncoder } from "./encode.ts";
import type { Flow } from "./flow.ts";
import type { ProcessDescription } from "./processes.ts";
import { makeFlow } from "./testdata/flow.ts";

const STRUCTS = parseXdr(await Deno.readTextFile(new URL("../lib/sflow/skyfall.x", import.meta.url)));
const ADDRESS = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);
const HOST = { host_id: new Uint8Array(16).fill(1), boot_id: new Uint8Array(16).fill(2), host_name: "höst" };

type Read = Record<string, string | bigint>;
interface ReadSample {
  readonly tag: number;
  readonly head: number[];
  readonly records: { readonly tag: number; readonly name: string | undefined; readonly body: DataView; readonly values: Read }[];
}

/** Reads a datagram by the letter of the specifications, and fails on any byte that is left over. */
function read(datagram: Uint8Array): { readonly head: number[]; readonly samples: ReadSample[] } {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  let at = 0;
  const word = () => view.getUint32((at += 4) - 4);
  const head = Array.from({ length: 7 }, word);
  const samples = Array.from({ length: head[6]! }, () => {
    const tag = word(), end = word() + at;
    const sampleHead = Array.from({ length: tag === 1 ? 8 : 3 }, word);
    const records = Array.from({ length: sampleHead.at(-1)! }, () => {
      const recordTag = word(), recordEnd = word() + at;
      const body = new DataView(datagram.buffer, datagram.byteOffset + at, recordEnd - at);
      const container = tag === 1 ? "flow_data" : "counter_data";
      const struct = STRUCTS.find((s) => s.container === container && dataFormat(s.enterprise, s.format) === recordTag);
      const values: Read = {};
      for (const { name, type, size } of struct?.fields ?? []) {
        const bytes = type === "string" ? word() : size;
        const raw = datagram.subarray(at, at + bytes);
        at += type === "string" ? (bytes + 3) & ~3 : bytes;
        values[name] = type === "string" ? new TextDecoder().decode(raw) : BigInt(`0x${raw.toHex()}`);
      }
      if (struct === undefined) at = recordEnd;
      assert.equal(at, recordEnd, `record ${struct?.name}`);
      return { tag: recordTag, name: struct?.name, body, values };
    });
    assert.equal(at, end);
    return { tag, head: sampleHead, records };
  });
  assert.equal(at, datagram.length);
  return { head, samples };
}

function process(pid: number): ProcessDescription {
  return {
    pid,
    user_id: 1_000,
    network_namespace: 4_026_531_840,
    cgroup_id: 77,
    service_source: 1,
    service_name: "web",
    executable_name: "node",
    executable_path: "/usr/bin/node",
    command_line: "node server.js",
    cgroup_path: "/system.slice/web.service",
    container_id: "",
    container_name: "",
    k8s_namespace: "",
    k8s_pod_name: "",
  };
}

const SUB_AGENT = 3;

function encoder(interop = false): DatagramEncoder {
  return new DatagramEncoder({ agentAddress: ADDRESS, host: HOST, enterprise: DEFAULT_ENTERPRISE, interop, key: null }, SUB_AGENT);
}

function encode(flows: readonly Flow[], interop = false): { readonly datagram: Uint8Array; readonly flowCount: number }[] {
  const datagrams: { datagram: Uint8Array; flowCount: number }[] = [];
  const made = encoder(interop);
  for (const flow of flows) made.add(flow);
  for (const { bytes, flowCount } of made.flush(5_000, 3)) datagrams.push({ datagram: bytes.slice(), flowCount });
  return datagrams;
}

Deno.test("DatagramEncoder writes every field of a flow where skyfall.x has it", () => {
  const { head, samples } = read(encode([makeFlow({ process: process(42) })])[0]!.datagram);
  assert.deepEqual(head, [5, 1, 0x0a000001, SUB_AGENT, 1, 5_000, 1]);
  const records = samples[0]!.records;
  assert.deepEqual(records.map(({ name }) => name), ["skyfall_host", "skyfall_process", "skyfall_flow"]);
  assert.equal(records[0]!.values["host_name"], "höst");
  assert.deepEqual([records[1]!.values["index"], records[1]!.values["pid"], records[1]!.values["command_line"]], [
    1n,
    42n,
    "node server.js",
  ]);
  const { process: _, local_address, remote_address, ...numbers } = makeFlow();
  assert.deepEqual(records[2]!.values, {
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, BigInt(value)])),
    local_address: BigInt(`0x${local_address.toHex()}`),
    remote_address: BigInt(`0x${remote_address.toHex()}`),
    process_index: 1n,
  });
});

Deno.test("DatagramEncoder makes each datagram self-contained, and none larger than it may be", () => {
  const processes = [process(1), process(2), process(3)];
  const flows = Array.from({ length: 100 }, (_, i) => makeFlow({ flow_id: i, process: processes[i % 3]! }));
  const seen: bigint[] = [], datagrams = encode(flows);
  let descriptors = 0;
  for (const { datagram, flowCount } of datagrams) {
    assert.ok(datagram.length <= DATAGRAM_BYTES_MAX);
    const { records } = read(datagram).samples[0]!;
    const pids = new Map(records.filter(({ name }) => name === "skyfall_process").map(({ values }) => [values["index"], values["pid"]]));
    const inside = records.filter(({ name }) => name === "skyfall_flow");
    assert.equal(inside.length, flowCount);
    descriptors += pids.size;
    for (const { values } of inside) {
      assert.equal(pids.get(values["process_index"]), values["flow_id"] as bigint % 3n + 1n);
      seen.push(values["flow_id"] as bigint);
    }
  }
  const byProcess = [0, 1, 2].flatMap((i) => flows.filter((_, at) => at % 3 === i));
  assert.deepEqual(seen, byProcess.map(({ flow_id }) => BigInt(flow_id)));
  // One more than a datagram only where a datagram holds the end of one process and the beginning of the next.
  assert.ok(descriptors < datagrams.length + processes.length, `${descriptors} descriptors in ${datagrams.length} datagrams`);
});

Deno.test("DatagramEncoder counts the flows so far in the sample pool, and the losses in drops", () => {
  const pools = encode(Array.from({ length: 20 }, () => makeFlow())).map(({ datagram, flowCount }) => {
    const { samples: [sample] } = read(datagram);
    assert.equal(sample!.head[4], 3);
    return { pool: sample!.head[3]!, flowCount };
  });
  let made = 0;
  for (const { pool, flowCount } of pools) assert.equal(pool, made += flowCount);
  assert.equal(made, 20);
});

Deno.test("DatagramEncoder tells listeners in samples of their own source, with the process that listens", () => {
  const listener = {
    address: ADDRESS,
    port: 8_080,
    transport_protocol: 6,
    network_namespace: 9,
    process: process(7),
    first_seen_unix_us: 10,
    last_seen_unix_us: 11,
    listening: true,
  };
  const datagrams: Uint8Array[] = [];
  for (const { bytes } of encoder().encodeListeners([listener, { ...listener, process: null, listening: false }], 5_000)) {
    datagrams.push(bytes.slice());
  }
  const { head, records } = read(datagrams[0]!).samples[0]!;
  assert.deepEqual([head[1], head[3]], [3 << 24 | 3, 2]);
  const told = records.filter(({ name }) => name === "skyfall_listener").map(({ values }) => values);
  assert.deepEqual(
    told.map((v) => [v["local_port"], v["process_index"], v["first_seen_unix_us"], v["last_seen_unix_us"], v["listening"]]),
    [
      [8_080n, 1n, 10n, 11n, 1n],
      [8_080n, 0n, 10n, 11n, 0n],
    ],
  );
  assert.equal(records.find(({ name }) => name === "skyfall_process")!.values["pid"], 7n);
});

Deno.test("DatagramEncoder cuts texts at their bound, between characters", () => {
  const long = { ...process(1), service_name: "ä".repeat(40), command_line: "x".repeat(300) };
  const { values } = read(encode([makeFlow({ process: long })])[0]!.datagram).samples[0]!.records[1]!;
  assert.equal(values["service_name"], "ä".repeat(32));
  assert.equal(values["command_line"], "x".repeat(255));
});

Deno.test("DatagramEncoder has room for a flow beside the longest descriptors, over IPv6", () => {
  const text = "x".repeat(300),
    names = STRUCTS.find(({ name }) => name === "skyfall_process")!.fields.filter(({ type }) => type === "string");
  const longest: ProcessDescription = { ...process(1), ...Object.fromEntries(names.map(({ name }) => [name, text])) };
  const datagrams: Uint8Array[] = [];
  const source = { agentAddress: new Uint8Array(16).fill(1), host: { ...HOST, host_name: text }, enterprise: DEFAULT_ENTERPRISE };
  const encoder = new DatagramEncoder({ ...source, interop: false, key: null }, SUB_AGENT);
  encoder.add(makeFlow({ process: longest }));
  for (const { bytes } of encoder.flush(1, 0)) datagrams.push(bytes.slice());
  assert.deepEqual(datagrams.map((datagram) => datagram.length <= DATAGRAM_BYTES_MAX), [true]);
});

Deno.test("DatagramEncoder writes every counter of the agent where skyfall.x has it", () => {
  const structs = STRUCTS.filter(({ container, name }) => container === "counter_data" && name !== "skyfall_authentication");
  const valuesOf = (i: number) => structs[i]!.fields.map(({ name }, j) => [name, 100 * i + j] as const);
  const records = structs.map(({ format, fields }, i) =>
    counterRecord({ format, fields: Object.fromEntries(fields.map((field) => [field.name, field])) }, Object.fromEntries(valuesOf(i)))
  );
  const { samples } = read(encoder().encodeCounters(records, 1).bytes);
  assert.equal(samples[0]!.tag, 2);
  assert.deepEqual(
    samples[0]!.records.map(({ name, values }) => [name, values]),
    structs.map(({ name }, i) => [name, Object.fromEntries(valuesOf(i).map(([field, value]) => [field, BigInt(value)]))]),
  );
});

Deno.test("DatagramEncoder restates bytes and segments exactly in standard structures", () => {
  for (const [tx_bytes, tx_segments] of [[1_000, 3], [7, 10], [0, 2], [2 ** 33 + 5, 6_000_000], [9, 0]] as const) {
    const samples = encode([makeFlow({ tx_bytes, tx_segments, rx_bytes: 0, rx_segments: 0 })], true).slice(1).flatMap(({ datagram }) =>
      read(datagram).samples
    );
    let bytes = 0, segments = 0;
    for (const { head, records } of samples) {
      assert.equal(records[0]!.tag, 3);
      assert.equal(records[1]!.name, "skyfall_mirror");
      segments += head[2]!;
      bytes += head[2]! * records[0]!.body.getUint32(0);
    }
    assert.deepEqual([bytes, segments], [tx_bytes, Math.max(1, tx_segments)]);
  }
});
