/**
 * Whether the agent's memory grows: resident, and its kernel maps', over very many connections, processes and peers.
 * GROWTH_CONNECTIONS says how many connections (10 million without it); a tenth as many peers. Of processes and peers there
 * are enough in any case for the agent's bounded tables to be full before the figures count.
 */

import { RunningTask } from "../tests/command.ts";
import { UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { compiled } from "./load.ts";
import { outputOf, pause, residentBytes } from "./processes.ts";
import { formatTable } from "./table.ts";

const CONNECTIONS = Number(Deno.env.get("GROWTH_CONNECTIONS") ?? 10_000_000);
const PROCESSES = 200_000, PEERS_MIN = 300_000;
const PARTS = 10;
/** Memory of the first parts is that of caches that fill up; from this part on it should stay. */
const SETTLED_PART = 3;
const GROWTH_MAX = 0.1;
const SETTLE_MS = 3_000;

interface Phase {
  readonly name: string;
  readonly connections: number;
  readonly load: (connections: number) => readonly string[];
}

const PHASES: readonly Phase[] = [
  { name: "connections", connections: CONNECTIONS, load: (n) => ["peers", String(n), "16"] },
  { name: "processes", connections: PROCESSES, load: (n) => ["processes", String(n)] },
  { name: "peers", connections: Math.max(PEERS_MIN, CONNECTIONS / 10), load: (n) => ["peers", String(n), String(n)] },
];

/** Memory of the maps that a process holds: what proc(5) says of its files. */
async function mapBytes(pid: number): Promise<number> {
  const folder = `/proc/${pid}/fdinfo`, sizes = new Map<string, number>();
  for await (const { name } of Deno.readDir(folder)) {
    const text = await Deno.readTextFile(`${folder}/${name}`).catch(() => ""); // closed meanwhile
    const id = /^map_id:\t(\d+)$/m.exec(text)?.[1], bytes = /^memlock:\t(\d+)$/m.exec(text)?.[1];
    if (id !== undefined && bytes !== undefined) sizes.set(id, Number(bytes));
  }
  return sizes.values().reduce((sum, bytes) => sum + bytes, 0);
}

/** Memory after each part of a phase. */
async function grow({ name, connections, load }: Phase, pid: number): Promise<string[][]> {
  const program = await compiled("growth");
  const rows: string[][] = [], resident: number[] = [];
  for (let part = 1; part <= PARTS; part++) {
    const startMs = performance.now();
    await outputOf(program, ...load(Math.ceil(connections / PARTS)));
    const seconds = (performance.now() - startMs) / 1_000;
    await pause(SETTLE_MS);
    resident.push(await residentBytes(pid));
    const row = [
      name,
      `${(connections * part / PARTS).toLocaleString("en")}`,
      (connections / PARTS / seconds).toFixed(0),
      `${(resident.at(-1)! / 1e6).toFixed(1)} MB`,
      `${(await mapBytes(pid) / 1e6).toFixed(1)} MB`,
    ];
    console.log(row.join("  "));
    rows.push(row);
  }
  const before = Math.max(...resident.slice(0, SETTLED_PART)), growth = resident.at(-1)! / before - 1;
  console.log(`${name}: ${(100 * growth).toFixed(1)} % from the first ${SETTLED_PART} parts to the end\n`);
  if (growth > GROWTH_MAX) Deno.exitCode = 1;
  return rows;
}

using sink = UdpReceiver.bind(parseHostPort("127.0.0.1:0").address, 0, true, "127.0.0.1:0"); // what nobody reads the kernel throws away
const config = await Deno.makeTempFile({ suffix: ".yaml" });
// Not nice and not limited: everything goes through the agent.
await Deno.writeTextFile(config, `collector: 127.0.0.1:${sink.port}\nmetrics_listen: off\nnice: 0\ncpu_limit_percent: 100\n`);
const agent = await RunningTask.start("agent", ["run", "--config", config]);
await agent.line("observing");
await pause(SETTLE_MS);
console.log(`at the start: ${(await residentBytes(agent.pid) / 1e6).toFixed(1)} MB resident`);
const rows: string[][] = [];
for (const phase of PHASES) rows.push(...await grow(phase, agent.pid));
agent.kill("SIGTERM");
const { code, stderr } = await agent.ended;
if (code !== 0) throw new Error(`Cannot measure: the agent ended with ${code}: ${stderr}`);
const { ledger } = JSON.parse(await agent.line('"stopped"'));
console.log(formatTable(["load", "connections", "a second", "resident", "kernel maps"], rows));
console.log(
  `${ledger.ended_connections} socket ends seen, ${ledger.ring_lost_events} events lost, ${ledger.flow_records} flow records, ` +
    `${ledger.unattributed_connections} ends without a process`,
);
Deno.exit();
