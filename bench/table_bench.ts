/** Decoding and aggregating alone: flow records a second by one worker, and memory by the million keys. */

import { FlowTable } from "../collector/aggregate.ts";
import { adviseHugePages } from "../ffi/libc_huge_pages.ts";
import { packDatagrams } from "../lib/sflow/load_datagrams.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { FlowEventBuffer } from "./flow_event.ts";
import { makeDatagrams } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const ROWS = Number(Deno.env.get("TABLE_ROWS") ?? 1_600_000);
const ROUNDS = 5;
const SIZES = [10_000, 100_000, 1_000_000];
const PROCESSES = 50;
const WINDOW_S = 60, START_UNIX_US = 1_767_323_045_000_000;
/** Where an IPv4 agent's datagram has its sequence number. */
const SEQUENCE_NUMBER = 16;

/** Resident bytes of a table for each of its rows, of as many conversations with a port each, before anything else takes memory. */
function residentBytesARow(conversations: number, rowsMax: number): number {
  const before = Deno.memoryUsage().rss, event = new FlowEventBuffer(), table = new FlowTable(rowsMax, WINDOW_S, 1);
  table.buffers.forEach(adviseHugePages);
  for (let i = 0; i < conversations; i++) {
    const ends = { client: 0x0a00_0000 + i, server: 0x0b00_0000 + i % 4_096, clientPort: 32_768 + i % 28_000, serverPort: 8_000 + i % 16 };
    event.set({ ...ends, isServer: false, startUnixUs: START_UNIX_US, sentBytes: 500, receivedBytes: 5_000 });
    table.add(event.view, 0, i % PROCESSES, i % PROCESSES);
  }
  if (table.rowCount !== conversations) throw new Error(`Cannot trust the run: ${table.rowCount} rows of ${conversations}`);
  return (Deno.memoryUsage().rss - before) / table.rowCount;
}

for (let i = 0; i < ROUNDS; i++) residentBytesARow(SIZES[0]!, SIZES[0]!); // the compiled program is not the table
const bytesARow = residentBytesARow(SIZES.at(-1)!, ROWS);
const rows: (string | number)[][] = [];
for (const keys of SIZES) {
  const flows = Math.max(keys, 400_000);
  const load = { flows, conversations: keys, processes: PROCESSES, interop: false, everyConversation: true };
  const datagrams = packDatagrams(makeDatagrams(load)), count = datagrams.starts.length;
  const { receiver, table } = testReceiver(ROWS);
  table.buffers.forEach(adviseHugePages);
  const seconds = Array.from({ length: ROUNDS }, (_, round) => {
    // The next datagrams of the same agent, or they would be duplicates.
    for (let i = 0; i < count; i++) datagrams.view.setUint32(datagrams.starts[i]! + SEQUENCE_NUMBER, 1 + round * count + i);
    const startMs = performance.now();
    receiver.receiveAll(datagrams);
    return (performance.now() - startMs) / 1_000;
  });
  if (table.eventCount !== ROUNDS * flows) throw new Error(`Cannot trust the run: ${table.eventCount} events of ${ROUNDS * flows}`);
  const rest = seconds.slice(1).sort((a, b) => a - b);
  rows.push([
    keys,
    table.rowCount,
    (flows / seconds[0]! / 1e6).toFixed(2),
    (flows / rest[rest.length >> 1]! / 1e6).toFixed(2),
  ]);
}
console.log(formatTable(["conversations", "rows", "M flows/s, first", "M flows/s, live keys (median)"], rows));
console.log(`${bytesARow.toFixed(0)} resident bytes for each of ${SIZES.at(-1)} rows`);
Deno.exit(0);
