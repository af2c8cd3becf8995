/**
 * 100 million distinct keys at a million a second: a port scan by one client, then a flood from made-up clients, through the table and
 * the flush wheel. What is claimed: memory stays under its cap, and every event and byte is in a row or in a named count.
 */

import { FlowTable } from "../collector/aggregate.ts";
import { FlowFlusher } from "../collector/flush.ts";
import { IdentityTable } from "../collector/identities.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { FlowEventBuffer } from "./flow_event.ts";
import { formatTable } from "./table.ts";

const KEYS = Number(Deno.env.get("SCAN_KEYS") ?? 100_000_000);
const ROWS = 1_000_000;
/** Events between two looks at the flush wheel, as between two calls of recvmmsg(2). */
const BATCH_EVENTS = 640;
const EVENT_BYTES = 1_500;

const PARTITIONS = 8;
const table = new FlowTable(ROWS, 60, PARTITIONS), identities = new IdentityTable(), event = new FlowEventBuffer();
const published = { rows: 0, events: 0, bytes: 0n, encodedBytes: 0 };
const flusher = new FlowFlusher(table, identities, 60, PARTITIONS, {
  format: "arrow",
  takeLosses: () => [],
  isBlocked: () => false,
  onMessages: (messages) => {
    for (const { rows, events, value } of messages) {
      const { columns: { bytes_sent, bytes_received } } = decodeFlowBatch(value);
      published.rows += rows;
      published.events += events;
      published.encodedBytes += value.length;
      for (const { values } of [bytes_sent, bytes_received]) for (const bytes of values) published.bytes += bytes;
    }
  },
});
const agent = new DataView(Uint8Array.of(10, 0, 0, 1).buffer);
const identity = identities.host(agent, 0, 0, 0, 4), { group } = identities.get(identity);
/** The clock goes with the events, not with the time that they take here. */
const EVENTS_PER_MS = 1_000;
let nowMs = Date.now(), highestBytes = 0;

/** A number that visits each value of 32 bits once. */
function scatter(i: number): number {
  return Math.imul(i, 0x9e37_79b1) >>> 0;
}

function run(name: string, count: number, isServer: boolean, clientOf: (i: number) => number, serverOf: (i: number) => number): string[] {
  const before = { ...table.counts, early: flusher.earlyRows }, startMs = performance.now();
  for (let i = 0; i < count; i++) {
    event.set({
      isServer,
      client: clientOf(i),
      server: serverOf(i),
      clientPort: 1_024 + i % 60_000,
      serverPort: isServer ? 443 : 1 + i % 1_000,
      startUnixUs: nowMs * 1_000 - 1_000,
      sentBytes: 500,
      receivedBytes: EVENT_BYTES - 500,
    });
    table.add(event.view, 0, group, identity);
    if (i % BATCH_EVENTS !== 0) continue;
    nowMs += BATCH_EVENTS / EVENTS_PER_MS;
    flusher.flushDue(nowMs);
    if (i % (BATCH_EVENTS * 1_000) === 0) highestBytes = Math.max(highestBytes, Deno.memoryUsage().rss);
  }
  const { counts } = table, seconds = (performance.now() - startMs) / 1_000;
  return [
    name,
    String(count),
    (count / seconds / 1e6).toFixed(2),
    String(counts.folded_scan_events - before.folded_scan_events),
    String(counts.folded_prefix_events - before.folded_prefix_events),
    String(counts.folded_client_events - before.folded_client_events),
    String(flusher.earlyRows - before.early),
    String(counts.dropped_events - before.dropped_events),
  ];
}

const half = KEYS / 2, baseBytes = Deno.memoryUsage().rss;
const rows = [
  run("one client scans", half, false, () => 0x0a00_0001, scatter),
  run("a flood of clients", half, true, scatter, () => 0x0a00_0002),
];
flusher.flushAll();
console.log(
  formatTable([
    "keys that are all distinct",
    "events",
    "M events/s",
    "to a scan's row",
    "to a /24",
    "to any client",
    "rows early",
    "dropped",
  ], rows),
);
const eventResidue = KEYS - published.events - table.counts.dropped_events;
const byteResidue = BigInt(KEYS) * BigInt(EVENT_BYTES) - published.bytes - BigInt(table.counts.dropped_bytes);
console.log(`\nresidue: ${eventResidue} events, ${byteResidue} bytes; ${published.rows} rows published`);
const used = highestBytes - baseBytes;
console.log(`memory: at most ${(used / 1e6).toFixed(0)} MB beyond the start, cap of the table ${(table.bytesMax / 1e6).toFixed(0)} MB`);
if (eventResidue !== 0 || byteResidue !== 0n || used > 1.1 * table.bytesMax) Deno.exit(1);
Deno.exit(0);
