/** The dependencies job beside DuckDB over the same rows once they are in the lake: CPU seconds, whole processes, start included. */

import { taskArguments } from "../chain/program.ts";
import { openProducer } from "../lib/topic/open.ts";
import { PROJECT } from "../tests/sources.ts";
import { flowMessages } from "./flow_messages.ts";
import { outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

const SHAPE = { rows: 2_000_000, minutes: 20, seed: 1 };
const ROUNDS = 3;
const PLAIN_SUMS =
  `select date_trunc('minute', window_start) as minute, client_service_name, server_service_name, client_address, server_address,
  server_port, sum(bytes_sent), sum(bytes_received), sum(retransmits), sum(connections_opened), sum(srtt_us_sum), sum(srtt_samples)
  from flow group by all`;

/** The same work, but no answer to print. */
function countOf(query: string): string {
  return `select count(*), sum(hash(answer)) from (${query}) answer`;
}

/** User and system time of a task, in seconds. */
async function cpuOfJobs(...args: string[]): Promise<number> {
  const command = [Deno.execPath(), ...await taskArguments("jobs"), ...args];
  const script = 'cd "$1"; shift; TIMEFORMAT="%U %S"; { time "$@" >/dev/null 2>/dev/null; } 2>&1';
  const [user, system] = (await outputOf("bash", "-c", script, "bash", PROJECT.pathname, ...command)).trim().split(" ").map(Number);
  return user! + system!;
}

const directory = await Deno.makeTempDir();
const topic = `sqlite:${directory}/topic.db`, lake = `${directory}/lake`;
{
  await using producer = await openProducer(topic);
  for (const record of flowMessages(SHAPE)) await producer.publish([record]);
}
const text = await Deno.readTextFile(new URL("jobs/dependencies.sql", PROJECT));
const reference = text.slice(text.indexOf("with")); // two hyphens would begin an option
await cpuOfJobs("run", "etl", "--topic", topic, "--lake", lake);
const [counted] = JSON.parse(
  await outputOf(
    Deno.execPath(),
    ...await taskArguments("jobs"),
    "sql",
    "select count(*) as rows from flow",
    "--lake",
    lake,
    "--format",
    "json",
  ),
);
const rows = Number(counted.rows);

const ways = [
  {
    name: "skyfall: jobs run dependencies, topic to edge_1m",
    run: () => cpuOfJobs("run", "dependencies", "--topic", topic, "--lake", lake),
  },
  { name: "DuckDB over flow, the same answer (dependencies.sql)", run: () => cpuOfJobs("sql", countOf(reference), "--lake", lake) },
  { name: "DuckDB over flow, sums alone, both ends added", run: () => cpuOfJobs("sql", countOf(PLAIN_SUMS), "--lake", lake) },
  { name: "what the two of DuckDB need first: jobs run etl", run: () => cpuOfJobs("run", "etl", "--topic", topic, "--lake", lake) },
];
const seconds = ways.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  await outputOf("rm", "-rf", lake);
  for (const i of [3, 0, 1, 2]) seconds[i]!.push(await ways[i]!.run());
}
console.log(`${rows} rows of ${SHAPE.minutes} minutes, ${ROUNDS} rounds\n`);
console.log(formatTable(
  ["way", "CPU s, least / median / most", "M rows/s and core"],
  ways.map(({ name }, i) => {
    const sorted = seconds[i]!.sort((a, b) => a - b), median = sorted[ROUNDS >> 1]!;
    return [name, [sorted[0]!, median, sorted.at(-1)!].map((s) => s.toFixed(2)).join(" / "), (rows / median / 1e6).toFixed(2)];
  }),
));
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
