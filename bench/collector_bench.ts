/** The collector beside goflow2 and sfacctd: what the same datagrams cost each of them, and decoding and aggregation alone. */

import { TABLE_ROWS } from "../collector/config.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { RunningTask } from "../tests/command.ts";
import { goflow2 } from "../tools/cache.ts";
import { cpuSeconds, droppedDatagrams, freeUdpPort, pause, Peer } from "./processes.ts";
import { makeDatagrams, sendAtRate } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const FLOWS = 200_000, CONVERSATIONS = 10_000, PROCESSES = 50;
const DATAGRAMS_PER_SECOND = 10_000;
const READY_MS = 1_500, DRAIN_MS = 3_000;
const DECODED_FLOWS = 2_000_000, DECODE_ROUNDS = 5;

interface Cost {
  readonly name: string;
  readonly datagrams: number;
  readonly dropped: number;
  readonly cpuSeconds: number;
}

/** What a program's whole process costs over the load; the kernel's work for its socket in system time is in it. */
async function costOf(name: string, pid: number, port: number, datagrams: readonly Uint8Array<ArrayBuffer>[]): Promise<Cost> {
  const before = await cpuSeconds(pid);
  await sendAtRate(datagrams, port, DATAGRAMS_PER_SECOND);
  await pause(DRAIN_MS);
  const cpuS = await cpuSeconds(pid) - before;
  return { name, datagrams: datagrams.length, dropped: await droppedDatagrams(port), cpuSeconds: cpuS };
}

async function costOfOwn(datagrams: readonly Uint8Array<ArrayBuffer>[]): Promise<Cost> {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--window-s", "5", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await pause(READY_MS);
  const cost = await costOf("skyfall: decode, aggregate, publish", collector.pid, port, datagrams);
  collector.kill("SIGTERM");
  const { ledger } = JSON.parse(await collector.line("stopped"));
  if (ledger.events_published !== FLOWS || ledger.balance !== 0) throw new Error(`Cannot trust the run: ${JSON.stringify(ledger)}`);
  return cost;
}

async function costOfGoflow2(datagrams: readonly Uint8Array<ArrayBuffer>[]): Promise<Cost> {
  const port = freeUdpPort();
  const args = ["-listen", `sflow://127.0.0.1:${port}`, "-format", "bin", "-addr", ""];
  await using peer = await Peer.start(await goflow2(), args, READY_MS);
  return await costOf("goflow2: decode, print", peer.pid, port, datagrams);
}

async function costOfSfacctd(datagrams: readonly Uint8Array<ArrayBuffer>[]): Promise<Cost> {
  const port = freeUdpPort(), config = await Deno.makeTempFile();
  const settings = [
    "plugins: print",
    "aggregate: proto, src_host, dst_host, dst_port",
    "print_output: csv",
    "print_refresh_time: 5",
    "print_cache_entries: 100003",
    "plugin_pipe_size: 67108864",
    "plugin_buffer_size: 65536",
    "sfacctd_pipe_size: 33554432",
  ];
  await Deno.writeTextFile(config, settings.join("\n") + "\n");
  await using peer = await Peer.start("sfacctd", ["-f", config, "-L", "127.0.0.1", "-l", String(port)], READY_MS);
  return await costOf("sfacctd: decode, aggregate, print", peer.pid, port, datagrams);
}

/** Flow records a second on one core, without the socket and the topic. */
function decodeRates(): number[] {
  const load = { flows: DECODED_FLOWS / DECODE_ROUNDS, conversations: CONVERSATIONS, processes: PROCESSES, interop: false };
  const datagrams = makeDatagrams(load).map((bytes) => new DataView(bytes.buffer));
  return Array.from({ length: DECODE_ROUNDS }, () => {
    const { receiver, table } = testReceiver(TABLE_ROWS);
    const startMs = performance.now();
    for (const view of datagrams) receiver.receive(view, 0, view.byteLength, false);
    if (table.eventCount !== load.flows) throw new Error(`Cannot trust the run: ${table.eventCount} of ${load.flows} flows in the table`);
    return load.flows / ((performance.now() - startMs) / 1_000);
  });
}

const datagrams = makeDatagrams({ flows: FLOWS, conversations: CONVERSATIONS, processes: PROCESSES, interop: true });
const own = makeDatagrams({ flows: FLOWS, conversations: CONVERSATIONS, processes: PROCESSES, interop: false });
const costs = [
  { ...await costOfOwn(own), name: "skyfall, its own records alone" },
  await costOfOwn(datagrams),
  await costOfGoflow2(datagrams),
  await costOfSfacctd(datagrams),
];
console.log(`${FLOWS} flows of ${CONVERSATIONS} conversations, ${DATAGRAMS_PER_SECOND} datagrams a second over loopback`);
console.log("each flow once in Skyfall's record and, but in the first line, also in up to four standard samples\n");
console.log(formatTable(
  ["program", "datagrams", "dropped by its socket", "CPU s", "datagrams a CPU s", "flows a CPU s"],
  costs.map(({ name, datagrams, dropped, cpuSeconds }) => [
    name,
    datagrams,
    dropped,
    cpuSeconds.toFixed(2),
    ((datagrams - dropped) / cpuSeconds).toFixed(0),
    (FLOWS * (datagrams - dropped) / datagrams / cpuSeconds).toFixed(0),
  ]),
));
const rates = decodeRates().sort((a, b) => a - b);
console.log(
  `\ndecode and aggregate alone, one core, ${CONVERSATIONS} conversations: ${(rates[DECODE_ROUNDS >> 1]! / 1e6).toFixed(2)} M flows/s ` +
    `(median of ${DECODE_ROUNDS}; ${(rates[0]! / 1e6).toFixed(2)} to ${(rates.at(-1)! / 1e6).toFixed(2)})`,
);
Deno.exit(0);
