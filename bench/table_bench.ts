/** Decoding and aggregating alone: flow records a second by one worker, and memory by the million keys. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { adviseHugePages } from "../ffi/libc_huge_pages.ts";
import { packDatagrams } from "../lib/sflow/load_datagrams.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { makeDatagrams } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const ROWS = Number(Deno.env.get("TABLE_ROWS") ?? 1_600_000);
const ROUNDS = 5;
const SIZES = [10_000, 100_000, 1_000_000];
const PROCESSES = 50;
/** Where an IPv4 agent's datagram has its sequence number. */
const SEQUENCE_NUMBER = 16;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** Of the process, without what making the datagrams left. */
function residentBytes(): number {
  collectGarbage();
  return Deno.memoryUsage().rss;
}

const rows: (string | number)[][] = [];
for (const keys of SIZES) {
  const flows = Math.max(keys, 400_000);
  const load = { flows, conversations: keys, processes: PROCESSES, interop: false, everyConversation: true };
  const datagrams = packDatagrams(makeDatagrams(load)), count = datagrams.starts.length;
  const before = residentBytes();
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
    ((residentBytes() - before) / table.rowCount).toFixed(0),
  ]);
}
console.log(formatTable(["conversations", "rows", "M flows/s, first", "M flows/s, live keys (median)", "B resident a row"], rows));
Deno.exit(0);
