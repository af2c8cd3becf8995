/**
 * Questions over a fleet's day of flows: DuckDB as the jobs run it, beside Spark and ClickHouse (chdb) over the same Parquet files,
 * and the dependency graph as `jobs run dependency-graph` answers it. Every engine's rows are compared.
 *
 *     deno task bench answers
 *     deno task bench answers --rows 100000000 --lake DIR     # a lake that bench/flow_lake.ts made and `jobs run compact` went over
 */

import { TextLineStream } from "../chain/text_line_stream.ts";
import { analyse, ANALYSES } from "../jobs/analytics.ts";
import type { Database } from "../jobs/duckdb.ts";
import { runCompact } from "../jobs/compact.ts";
import { keptIn, withLake } from "../jobs/query.ts";
import { EVERYTHING } from "../jobs/question.ts";
import { chdbPython, python } from "../tools/cache.ts";
import { EDGES, type FlowShape, rowsOf, serviceName } from "./flow_generator.ts";
import { writeRolledEdges } from "./rolled_edges.ts";
import { writeFlowLake } from "./flow_lake.ts";
import { formatTable } from "./table.ts";

const DEFAULT_ROWS = 1_000_000;
const MINUTES = 1_440;
const ROUNDS = 3;
/** What takes longer is asked once. */
const LONG_S = 10;
const CLOCK_TICKS_PER_SECOND = 100;

/** One SQL for every engine. The greater view of the two ends of a conversation counts. */
const edges = (where: string) =>
  `select client_service, server_service, server_port, sum(connections) as connections, sum(tx_bytes) as tx_bytes, sum(rx_bytes) as rx_bytes
from (
  select max(client_service) as client_service, max(server_service) as server_service, server_port,
    max(connections) as connections, max(tx_bytes) as tx_bytes, max(rx_bytes) as rx_bytes
  from (
    select client_ip, server_ip, server_port, observer_role,
      max(coalesce(client_service_name, '')) as client_service, max(coalesce(server_service_name, '')) as server_service,
      sum(connections_opened) as connections, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes
    from flow ${where}
    group by client_ip, server_ip, server_port, observer_role
  ) views
  group by client_ip, server_ip, server_port
) conversations
group by client_service, server_service, server_port`;

/** Of the same rows, each conversation and minute once. */
const CONVERSATION_EDGES = `select client_service_name, server_service_name, server_port, network_transport,
  sum(connections_opened) as connections, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes,
  sum(client_retransmits + server_retransmits) as retransmits, sum(srtt_us_sum) as srtt_us_sum, sum(srtt_samples) as srtt_samples
from conversation_1m
group by client_service_name, server_service_name, server_port, network_transport`;

/** Each conversation as its client tells it, with the name that the server's host tells: all of them, where every client has an agent. */
const CLIENT_EDGES = `select client_service, server_service, server_port, network_transport,
  sum(connections) as connections, sum(tx_bytes) as tx_bytes, sum(rx_bytes) as rx_bytes, sum(retransmits) as retransmits,
  sum(srtt_us_sum) as srtt_us_sum, sum(srtt_samples) as srtt_samples
from (
  select client_service_name as client_service, server_ip, server_port, network_transport, sum(connections_opened) as connections,
    sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes, sum(retransmits) as retransmits,
    sum(srtt_us_sum) as srtt_us_sum, sum(srtt_samples) as srtt_samples
  from flow where observer_role = 'client'
  group by client_service_name, server_ip, server_port, network_transport
) told
join (
  select server_ip, server_port, network_transport, max(server_service_name) as server_service
  from flow where observer_role = 'server'
  group by server_ip, server_port, network_transport
) listener using (server_ip, server_port, network_transport)
group by client_service, server_service, server_port, network_transport`;

/** Of more rows the first takes more memory than there is. */
const FLOW_EDGES_ROWS_MAX = 10_000_000;

const CLIENTS_TELL = "who depends on whom, a day, of flows as clients tell them",
  CONVERSATIONS = "who depends on whom, a day, of conversations";

const QUERIES: Readonly<Record<string, string>> = {
  "who depends on whom, a day, of flows": edges(""),
  "who depends on whom, an hour, of flows": edges("where hour = 12"),
  [CLIENTS_TELL]: CLIENT_EDGES,
  [CONVERSATIONS]: CONVERSATION_EDGES,
  "one service, a day":
    `select server_port, sum(connections_opened) as connections, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes from flow where server_service_name = '${
      serviceName(1)
    }' group by server_port`,
  "clients of one service, a day":
    `select client_service_name, sum(connections_opened) as connections, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes from conversation_1m where server_service_name = '${
      serviceName(1)
    }' group by client_service_name`,
  "bytes by service and hour":
    "select server_service_name, hour, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes from flow where observer_role = 'server' group by server_service_name, hour",
  "round-trip time and retransmissions by service":
    "select client_service_name, sum(srtt_us_sum) as srtt_us_sum, sum(srtt_samples) as srtt_samples, sum(retransmits) as retransmits, sum(segments_sent) as segments from flow where observer_role = 'client' group by client_service_name",
};

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rows: readonly string[];
}

/** Runs a query, however that is done. */
type Runner = (sql: string) => Promise<Run>;

function ownCpuSeconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ").at(-1)!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

async function timed<T>(run: () => Promise<T>): Promise<{ readonly seconds: number; readonly cpuSeconds: number; readonly result: T }> {
  const startMs = performance.now(), startCpu = ownCpuSeconds(), result = await run();
  return { seconds: (performance.now() - startMs) / 1_000, cpuSeconds: ownCpuSeconds() - startCpu, result };
}

function duckdb(database: Database): Runner {
  return async (sql) => {
    const { seconds, cpuSeconds, result } = await timed(() => database.table(sql));
    const rows = result.rows.map((row) => JSON.stringify(result.columns.map(({ name }) => String(row[name]))));
    return { seconds, cpuSeconds, rows: rows.map((row) => row.replaceAll('","', '", "')).sort() };
  };
}

/** The best of some rounds of each query, in a process of its own. */
async function peer(engine: "spark" | "chdb", lake: string): Promise<Map<string, Run>> {
  const path = engine === "spark" ? await python() : await chdbPython();
  const child = new Deno.Command(path, {
    args: [new URL("answers_peer.py", import.meta.url).pathname, engine, lake],
    env: { SPARK_LOCAL_IP: "127.0.0.1" },
    stdin: "piped",
    stdout: "piped",
    stderr: Deno.env.has("PEER_STDERR") ? "inherit" : "null",
  }).spawn();
  const writer = child.stdin.getWriter(),
    reader = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  try {
    return await best(engine, async (sql) => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(sql)}\n`));
      const { value } = await reader.read();
      if (value === undefined) throw new Error(`Cannot go on with ${engine}: it ended; PEER_STDERR=1 shows why`);
      return JSON.parse(value);
    });
  } finally {
    await writer.close();
    await child.status;
  }
}

async function best(engine: string, run: Runner): Promise<Map<string, Run>> {
  const runs = new Map<string, Run>();
  for (const [name, sql] of asked) {
    let least: Run | null = null;
    for (let round = 0; round < ROUNDS; round++) {
      const next = await run(sql);
      if (least === null || next.seconds < least.seconds) least = next;
      if (next.seconds > LONG_S) break;
    }
    runs.set(name, least!);
    console.error(`${engine}: ${name}: ${least!.seconds.toFixed(3)} s, ${least!.cpuSeconds.toFixed(2)} CPU s`);
  }
  return runs;
}

function cells(own: Run, other: Run): string[] {
  const isSame = other.rows.length === own.rows.length && other.rows.every((row, i) => row === own.rows[i]);
  if (!isSame) {
    throw new Error(`Cannot trust the bench: ${other.rows[0]} of ${other.rows.length} rows, ${own.rows[0]} of ${own.rows.length}`);
  }
  return [other.seconds.toFixed(3), other.cpuSeconds.toFixed(2)];
}

/** Columns of edges up to connections and bytes; retransmissions are those of clients in one query, of both ends in the other. */
const SAME_COLUMNS = 7;

function assertSameEdges(ofFlows: Run, ofConversations: Run): void {
  const edges = ({ rows }: Run) => rows.map((row) => JSON.stringify(JSON.parse(row).slice(0, SAME_COLUMNS))).join("\n");
  if (edges(ofFlows) !== edges(ofConversations)) {
    throw new Error("Cannot trust the bench: the edges of flows are not those of conversations");
  }
}

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

const shape: FlowShape = { rows: Number(option("--rows") ?? DEFAULT_ROWS), minutes: MINUTES, seed: 1 };
const asked = Object.entries(QUERIES).filter(([, sql]) => sql !== edges("") || shape.rows <= FLOW_EDGES_ROWS_MAX);
const given = option("--lake"), lake = given ?? `${await Deno.makeTempDir()}/lake`;
if (given === undefined) {
  await writeFlowLake(shape, lake);
  await runCompact(lake, new Map());
}
await writeRolledEdges(lake);

/** The graph as the job answers it, in this process: the least time of some rounds. */
async function graph(rollup: string | null, isKept: boolean): Promise<string[]> {
  return await withLake(lake, async (database, _snapshot, snapshots) => {
    const kept = isKept ? keptIn(snapshots) : [], analysis = ANALYSES.find(({ name }) => name === "dependency-graph")!;
    let least = await timed(() => analyse(database, analysis, { ...EVERYTHING, rollup }, kept));
    for (let round = 1; round < ROUNDS && least.seconds < LONG_S; round++) {
      const next = await timed(() => analyse(database, analysis, { ...EVERYTHING, rollup }, kept));
      if (next.seconds < least.seconds) least = next;
    }
    const { seconds, cpuSeconds, result } = least;
    const text = rollup ?? (isKept ? `conversation_1m, ${kept.length} hours` : "flow");
    return [text, String(result.rows.length), seconds.toFixed(3), cpuSeconds.toFixed(2), await digest(result.rows)];
  });
}

async function digest(rows: readonly unknown[]): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(rows))));
  return hash.slice(0, 4).toHex();
}

const graphs = [await graph("edge_1d", true), await graph("edge_1h", true), await graph(null, true)];
if (shape.rows <= FLOW_EDGES_ROWS_MAX) graphs.push(await graph(null, false));
console.log(`${rowsOf(shape)} rows of a day, ${EDGES} pairs of services, ${navigator.hardwareConcurrency} cores\n`);
console.log("jobs run dependency-graph, without the start of the process:\n");
console.log(formatTable(["asked", "edges", "s", "CPU s", "rows' hash"], graphs));
const own = await withLake(lake, (database) => best("DuckDB", duckdb(database)));
assertSameEdges(own.get(CLIENTS_TELL)!, own.get(CONVERSATIONS)!);
const peers = [await peer("chdb", lake), await peer("spark", lake)];
console.log(`\nthe least time of ${ROUNDS} rounds, of one where it is over ${LONG_S} s; every engine has the same rows\n`);
console.log(formatTable(
  ["question", "rows", "DuckDB s", "CPU s", "ClickHouse s", "CPU s", "Spark s", "CPU s"],
  asked.map(([name]) => [
    name,
    String(own.get(name)!.rows.length),
    ...[own, ...peers].flatMap((runs) => cells(own.get(name)!, runs.get(name)!)),
  ]),
));
if (given === undefined) await Deno.remove(lake, { recursive: true });
Deno.exit(0);
