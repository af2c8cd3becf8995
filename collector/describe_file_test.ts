/** `collector decode` shows what a capture holds. */

import assert from "node:assert/strict";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { describeFile } from "./describe_file.ts";
import { concat, datagram, GOLDEN, tagged, words } from "./testdata/datagram.ts";
import { ethernet, ETHERTYPE, expandedSample, FLAGS, ipv4, sampledHeader, standardSample, TCP, tcp } from "./testdata/packet.ts";
import { pcapFile } from "./testdata/pcap.ts";

Deno.test("describeFile() names every field of our records", () => {
  const [header, sample] = [...describeFile(GOLDEN, DEFAULT_ENTERPRISE)];
  assert.deepEqual(header, {
    datagram: 0,
    kind: "datagram",
    agent_address: "10.0.0.1",
    sub_agent_id: 1,
    sequence_number: 1,
    uptime_ms: 1_000,
  });
  const records = sample!["records"] as Record<string, unknown>[];
  assert.deepEqual(records.map((r) => r["record"]), ["skyfall_host", "skyfall_process", "skyfall_flow"]);
  assert.deepEqual([records[1]!["service_name"], records[2]!["remote_address"], records[2]!["tx_bytes"]], ["web", "10.0.0.2", 1_000]);
});

Deno.test("describeFile() finds the datagram in a pcap file", () => {
  assert.deepEqual([...describeFile(pcapFile([GOLDEN]), DEFAULT_ENTERPRISE)], [...describeFile(GOLDEN, DEFAULT_ENTERPRISE)]);
});

Deno.test("describeFile() tells what is malformed, and where", () => {
  const lines = [...describeFile(datagram([tagged(1, new Uint8Array(32), 1_000)]), DEFAULT_ENTERPRISE)];
  assert.deepEqual(lines[1], { datagram: 0, kind: "malformed", reason: "sample_length", offset: 28 });
});

Deno.test("describeFile() names standard records, and shows unknown ones by their tag", () => {
  const sampled = tagged(3, concat(words(1_500, 6), Uint8Array.of(10, 0, 0, 1, 10, 0, 0, 2), words(40_000, 443, 0, 0)));
  const sample = tagged(1, concat(words(1, 0, 100, 1, 0, 0, 0, 2), sampled, tagged((99 << 12) | 7, words(1))));
  const records = [...describeFile(datagram([sample]), DEFAULT_ENTERPRISE)][1]!["records"] as Record<string, unknown>[];
  assert.deepEqual([records[0]!["record"], records[0]!["src_ip"], records[0]!["dst_port"]], ["sampled_ipv4", "10.0.0.1", 443]);
  assert.deepEqual(records[1], { record: "99:7", bytes: 4 });
});

Deno.test("describeFile() shows the packet in a raw header, and why there is none", () => {
  const [source, destination] = [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 0, 0, 2)];
  const frame = ethernet(ETHERTYPE.ipv4, ipv4([source, destination], TCP, tcp([40_000, 443], FLAGS.syn)));
  const samples = [expandedSample([sampledHeader(frame, 64)]), standardSample([sampledHeader(frame.slice(0, 20), 64)])];
  const [, ...lines] = [...describeFile(datagram(samples), DEFAULT_ENTERPRISE)];
  const head = { record: "sampled_header", bytes: 72, protocol: 1, frame_length: 64, stripped: 4, header_length: 54 };
  assert.deepEqual(lines.map((line) => [line["sample"], line["sampling_rate"], line["records"]]), [
    ["flow_sample_expanded", 1_000, [{
      ...head,
      source_address: "10.0.0.1",
      source_port: 40_000,
      destination_address: "10.0.0.2",
      destination_port: 443,
      transport_protocol: 6,
      tcp_flags: 2,
      application_bytes: 0,
    }]],
    ["flow_sample", 1_000, [{ ...head, bytes: 36, header_length: 20, refused: "header_cut" }]],
  ]);
});

Deno.test("describeFile() shows what pmacctd 1.7.7 tells of a SYN in a VLAN and of a datagram over IPv6", async () => {
  // Its plugin sfprobe, sampling_rate 1, from a capture of the two frames.
  const golden = await Deno.readFile(new URL("testdata/pmacctd_vlan_tcp_ipv6_udp.sflow", import.meta.url));
  const sample = (sequence: number, bytes: number, packet: object) => ({
    ...{ datagram: 0, kind: "sample", sample: "flow_sample", bytes, sequence_number: sequence, source_id: "0:1", sampling_rate: 1 },
    ...{ sample_pool: sequence, drops: 0, records: [{ record: "0:1001", bytes: 16 }, packet] },
  });
  assert.deepEqual([...describeFile(golden, DEFAULT_ENTERPRISE)], [
    { datagram: 0, kind: "datagram", agent_address: "10.9.9.9", sub_agent_id: 0, sequence_number: 1, uptime_ms: 0 },
    sample(1, 152, {
      ...{ record: "sampled_header", bytes: 88, protocol: 1, frame_length: 74, stripped: 4, header_length: 70 },
      ...{ source_address: "10.0.0.1", source_port: 40_000, destination_address: "10.0.1.2", destination_port: 443 },
      ...{ transport_protocol: 6, tcp_flags: 2, application_bytes: 0 },
    }),
    sample(2, 208, {
      ...{ record: "sampled_header", bytes: 144, protocol: 1, frame_length: 366, stripped: 4, header_length: 128 },
      ...{ source_address: "2001:db8::1", source_port: 40_000, destination_address: "2001:db8::2", destination_port: 53 },
      ...{ transport_protocol: 17, tcp_flags: 0, application_bytes: 300 },
    }),
  ]);
});

Deno.test("describeFile() refuses a pcap file that is cut", () => {
  assert.throws(() => [...describeFile(pcapFile([GOLDEN]).slice(0, 60), DEFAULT_ENTERPRISE)], {
    name: "SyntaxError",
    message: /Cannot read capture/,
  });
});
