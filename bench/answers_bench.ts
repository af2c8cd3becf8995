/**
 * Questions over a fleet's day of flows: DuckDB as the jobs run it, beside Spark and ClickHouse (chdb) over the same Parquet files,
 * and the dependency graph as `jobs run dependency-graph` answers it. Every engine's rows are compared.
 *
 *     deno task bench answers --rows 100000000
 */

import { TextLineStream } from "../chain/text_line_stream.ts";
import { analyse, ANALYSES } from "../jobs/analytics.ts";
import type { Database } from "../jobs/duckdb.ts";
import { withLake } from "../jobs/query.ts";
import { chdbPython, python } from "../tools/cache.ts";
import { expectedEdges, type FlowShape, serviceName } from "./flow_generator.ts";
import { writeFlowLake } from "./flow_lake.ts";
import { formatTable } from "./table.ts";

const DEFAULT_ROWS = 1_000_000;
const MINUTES = 1_440;
const ROUNDS = 3;
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

const QUERIES: Readonly<Record<string, string>> = {
  "who depends on whom, a day": edges(""),
  "who depends on whom, an hour": edges("where hour = 12"),
  "one service, a day":
    `select server_port, sum(connections_opened) as connections, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes from flow where server_service_name = '${
      serviceName(1)
    }' group by server_port`,
  "bytes by service and hour":
    "select server_service_name, hour, sum(bytes_sent) as tx_bytes, sum(bytes_received) as rx_bytes from flow where observer_role = 'server' group by server_service_name, hour",
  "round-trip time and retransmissions by service":
    "select client_service_name, sum(srtt_us_sum) as srtt_us_sum, sum(srtt_samples) as srtt_samples, sum(retransmits) as retransmits, sum(segments_sent) as segments from flow where observer_role = 'client' group by client_service_name",
  "clients by service":
    "select server_service_name, count(distinct client_ip) as clients from flow where observer_role = 'server' group by server_service_name",
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
async function peer(engine: "spark" | "chdb", table: string): Promise<Map<string, Run>> {
  const path = engine === "spark" ? await python() : await chdbPython();
  const child = new Deno.Command(path, {
    args: [new URL("answers_peer.py", import.meta.url).pathname, engine, table],
    env: { SPARK_LOCAL_IP: "127.0.0.1" },
    stdin: "piped",
    stdout: "piped",
    stderr: Deno.env.has("PEER_STDERR") ? "inherit" : "null",
  }).spawn();
  const writer = child.stdin.getWriter(),
    reader = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  try {
    return await best(async (sql) => {
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

async function best(run: Runner): Promise<Map<string, Run>> {
  const runs = new Map<string, Run>();
  for (const [name, sql] of Object.entries(QUERIES)) {
    let least: Run | null = null;
    for (let round = 0; round < ROUNDS; round++) {
      const next = await run(sql);
      if (least === null || next.cpuSeconds < least.cpuSeconds) least = next;
    }
    runs.set(name, least!);
  }
  return runs;
}

function cells(own: Run, other: Run): string[] {
  const isSame = other.rows.length === own.rows.length && other.rows.every((row, i) => row === own.rows[i]);
  if (!isSame) {
    throw new Error(`Cannot trust the bench: ${other.rows[0]} of ${other.rows.length} rows, ${own.rows[0]} of ${own.rows.length}`);
  }
  return [other.seconds.toFixed(2), other.cpuSeconds.toFixed(2)];
}

const option = Deno.args.indexOf("--rows");
const shape: FlowShape = { rows: option < 0 ? DEFAULT_ROWS : Number(Deno.args[option + 1]), minutes: MINUTES, seed: 1 };
const lake = `${await Deno.makeTempDir()}/lake`, table = `${lake}/flow`;
await writeFlowLake(shape, lake);
const [own, graph] = await withLake(lake, async (database) => {
  await database.run(`set threads = ${navigator.hardwareConcurrency}`);
  const runs = await best(duckdb(database));
  return [runs, await timed(() => analyse(database, ANALYSES.find(({ name }) => name === "dependency-graph")!))] as const;
});
const spark = await peer("spark", table), chdb = await peer("chdb", table);
console.log(
  `${shape.rows} rows of a day, the least CPU time of ${ROUNDS} rounds on ${navigator.hardwareConcurrency} cores; every engine has the same rows\n`,
);
console.log(formatTable(
  ["question", "rows", "DuckDB s", "CPU s", "Spark s", "CPU s", "ClickHouse s", "CPU s"],
  Object.keys(QUERIES).map((name) => [
    name,
    String(own.get(name)!.rows.length),
    ...[own, spark, chdb].flatMap((runs) => cells(own.get(name)!, runs.get(name)!)),
  ]),
));
const { seconds, cpuSeconds, result } = graph;
console.log(
  `\njobs run dependency-graph: ${result.rows.length} edges of ${[...expectedEdges(shape)].length}, ${seconds.toFixed(2)} s, ${
    cpuSeconds.toFixed(2)
  } CPU s`,
);
await Deno.remove(lake, { recursive: true });
Deno.exit(0);
