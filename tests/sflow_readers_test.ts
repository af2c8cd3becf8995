/**
 * Other programs read our datagrams: tshark finds nothing malformed; goflow2 and sfacctd see the same bytes as we do. And we
 * read those of other agents as tshark and goflow2 do.
 */

import assert from "node:assert/strict";
import { describeFile } from "../collector/describe_file.ts";
import { pcapFile } from "../collector/testdata/pcap.ts";
import { packetDatagrams } from "../collector/testdata/packet_datagrams.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { goflow2 } from "../tools/cache.ts";
import { freeUdpPort } from "../bench/processes.ts";
import { captureAgent, replay } from "./captured.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { KINDS } from "./traffic/plan.ts";
import { runTraffic, type TrafficOrder } from "./traffic/run.ts";

const ORDER: TrafficOrder = { kinds: KINDS, connections: 210, longPerPlan: 1, concurrency: 8, perSecond: 0 };
const START_MS = 1_500, QUIET_MS = 3_000;
const kernel = await missingKernel();

/** Bytes by "source source_port destination destination_port". */
type BytesByDirection = Map<string, bigint>;

let captured: Promise<Uint8Array<ArrayBuffer>[]> | undefined;

/** One capture with the standard structures, for all tests of this file. */
function interopDatagrams(): Promise<Uint8Array<ArrayBuffer>[]> {
  return captured ??= captureAgent(() => runTraffic(ORDER), ["--interop"]);
}

function add(sums: BytesByDirection, from: string, to: string, bytes: bigint): void {
  if (bytes > 0n) sums.set(`${from} ${to}`, (sums.get(`${from} ${to}`) ?? 0n) + bytes);
}

/** What our own records say, in both directions. */
function ownBytes(datagrams: readonly Uint8Array[]): BytesByDirection {
  const sums: BytesByDirection = new Map();
  for (const line of describeFile(pcapFile(datagrams), DEFAULT_ENTERPRISE)) {
    for (const record of (line["records"] ?? []) as Record<string, string | number>[]) {
      if (record["record"] !== "skyfall_flow") continue;
      const local = `${record["local_address"]} ${record["local_port"]}`, remote = `${record["remote_address"]} ${record["remote_port"]}`;
      add(sums, local, remote, BigInt(record["tx_bytes"]!));
      add(sums, remote, local, BigInt(record["rx_bytes"]!));
    }
  }
  return sums;
}

function assertSameBytes(actual: BytesByDirection, expected: BytesByDirection): void {
  assert.ok(expected.size > 2 * (ORDER.connections - 60), `only ${expected.size} directions`);
  assert.deepEqual(new Map([...actual].sort()), new Map([...expected].sort()));
}

/** Replays to a collector of another project and returns what it printed until it was stopped. */
async function printedBy(
  command: string,
  args: (port: number) => string[],
  datagrams: readonly Uint8Array<ArrayBuffer>[],
): Promise<string> {
  const port = freeUdpPort();
  const child = new Deno.Command(command, { args: args(port), stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
  await new Promise((resolve) => setTimeout(resolve, START_MS));
  await replay(datagrams, port);
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  child.kill("SIGINT");
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout);
}

const goflow2Arguments = (port: number) => ["-listen", `sflow://127.0.0.1:${port}?workers=1`, "-format", "json"];

async function tshark(...args: string[]): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("tshark", { args, stdout: "piped", stderr: "piped" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}

for (const interop of [false, true]) {
  testWith(
    firstMissing(kernel, await missingCommand("tshark", "--version")),
    `tshark dissects every datagram${interop ? " with --interop" : ""}, and calls none malformed`,
    async () => {
      const datagrams = interop ? await interopDatagrams() : await captureAgent(() => runTraffic({ ...ORDER, connections: 42 }), []);
      const path = await Deno.makeTempFile({ suffix: ".pcap" });
      await Deno.writeFile(path, pcapFile(datagrams));
      const read = ["-r", path, "-d", "udp.port==6343,sflow"];
      const versions = await tshark(...read, "-T", "fields", "-e", "sflow_245.version", "-e", "sflow_245.numsamples");
      assert.equal(versions.length, datagrams.length);
      assert.ok(versions.every((line) => /^5\t[1-9]/.test(line)), versions.find((line) => !/^5\t[1-9]/.test(line)));
      assert.deepEqual(await tshark(...read, "-Y", "_ws.malformed || _ws.expert.severity >= warning"), []);
    },
  );
}

testWith(
  firstMissing(kernel, await missingCommand("go", "version")),
  "goflow2 reports the same addresses, ports and bytes as we do",
  async () => {
    const printed = await printedBy(await goflow2(), goflow2Arguments, await interopDatagrams());
    const sums: BytesByDirection = new Map();
    for (const line of printed.split("\n").filter((line) => line.startsWith("{"))) {
      const flow = JSON.parse(line);
      add(
        sums,
        `${flow.src_addr} ${flow.src_port}`,
        `${flow.dst_addr} ${flow.dst_port}`,
        BigInt(flow.bytes) * BigInt(flow.sampling_rate),
      );
    }
    assertSameBytes(sums, ownBytes(await interopDatagrams()));
  },
);

testWith(
  firstMissing(kernel, await missingCommand("sfacctd", "-V")),
  "sfacctd reports the same addresses, ports and bytes as we do",
  async () => {
    const config = await Deno.makeTempFile();
    const settings = [
      "plugins: print",
      "aggregate: src_host, dst_host, src_port, dst_port, proto",
      "sfacctd_renormalize: true",
      "print_output: json",
      "print_refresh_time: 60",
      "print_cache_entries: 100003",
    ];
    await Deno.writeTextFile(config, settings.join("\n") + "\n");
    const args = (port: number) => ["-f", config, "-L", "127.0.0.1", "-l", String(port)];
    const printed = await printedBy("sfacctd", args, await interopDatagrams());
    const sums: BytesByDirection = new Map();
    for (const line of printed.split("\n").filter((line) => line.startsWith("{"))) {
      const flow = JSON.parse(line);
      add(sums, `${flow.ip_src} ${flow.port_src}`, `${flow.ip_dst} ${flow.port_dst}`, BigInt(flow.bytes));
    }
    assertSameBytes(sums, ownBytes(await interopDatagrams()));
  },
);

/** What we read in the one sample of each datagram: both ends, and the application's bytes. */
function ownPackets(datagrams: readonly Uint8Array[]): string[] {
  return datagrams.map((bytes) => {
    const [, sample] = [...describeFile(pcapFile([bytes]), DEFAULT_ENTERPRISE)];
    const [packet] = sample!["records"] as Record<string, string | number>[];
    const { source_address, source_port, destination_address, destination_port, application_bytes } = packet!;
    return `${source_address} ${source_port} ${destination_address} ${destination_port} ${application_bytes}`;
  });
}

const TSHARK_FIELDS = [
  ...["ip.src", "ip.dst", "ip.len", "ip.hdr_len", "ipv6.src", "ipv6.dst", "ipv6.plen"],
  ...["tcp.srcport", "tcp.dstport", "tcp.hdr_len", "udp.srcport", "udp.dstport", "udp.length"],
];

testWith(
  await missingCommand("tshark", "--version"),
  "tshark reads the same addresses, ports and bytes in raw headers as we do",
  async () => {
    const datagrams = Object.values(packetDatagrams());
    const path = await Deno.makeTempFile({ suffix: ".pcap" });
    await Deno.writeFile(path, pcapFile(datagrams));
    // The sampled packet's fields come after those of the packet that carries it.
    const format = ["-T", "fields", "-E", "occurrence=l", "-E", "separator=,", ...TSHARK_FIELDS.flatMap((field) => ["-e", field])];
    const lines = await tshark("-r", path, "-d", "udp.port==6343,sflow", ...format);
    const read = lines.map((line) => {
      const [from4, to4, bytes4, header4, from6, to6, bytes6, tcpFrom, tcpTo, tcpHeader, udpFrom, udpTo, udpBytes] = line.split(",");
      const [from, to, ipBytes] = from6 === "" ? [from4, to4, Number(bytes4) - Number(header4)] : [from6, to6, Number(bytes6)];
      return tcpFrom === ""
        ? `${from} ${udpFrom} ${to} ${udpTo} ${Number(udpBytes) - 8}`
        : `${from} ${tcpFrom} ${to} ${tcpTo} ${ipBytes - Number(tcpHeader)}`;
    });
    assert.deepEqual(read, ownPackets(datagrams));
  },
);

testWith(await missingCommand("go", "version"), "goflow2 reads the same addresses and ports in Ethernet frames as we do", async () => {
  // It takes the options of IPv4 for ports, and other raw headers for none.
  const isRead = (name: string) => name.startsWith("Ethernet") && !name.includes("options");
  const frames = Object.entries(packetDatagrams()).filter(([name]) => isRead(name)).map(([, bytes]) => bytes);
  const printed = await printedBy(await goflow2(), goflow2Arguments, frames);
  const flows = printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const read = flows.map((flow) => `${flow.src_addr} ${flow.src_port} ${flow.dst_addr} ${flow.dst_port}`);
  assert.deepEqual(read.sort(), ownPackets(frames).map((packet) => packet.slice(0, packet.lastIndexOf(" "))).sort());
});
