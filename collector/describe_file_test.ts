/** `collector decode` shows what a capture holds. */

import assert from "node:assert/strict";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { describeFile } from "./describe_file.ts";
import { concat, datagram, GOLDEN, tagged, words } from "./testdata/datagram.ts";
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

Deno.test("describeFile() refuses a pcap file that is cut", () => {
  assert.throws(() => [...describeFile(pcapFile([GOLDEN]).slice(0, 60), DEFAULT_ENTERPRISE)], {
    name: "SyntaxError",
    message: /Cannot read capture/,
  });
});
