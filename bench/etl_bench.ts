/** The ETL job beside PyArrow with delta-rs: rows a second from the same topic into committed Parquet. */

import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch, START_US } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { runTask } from "../tests/command.ts";
import { python } from "../tools/cache.ts";
import { outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

const MESSAGES = 500, MESSAGE_ROWS = 2_048, ROUNDS = 5;
const MESSAGE_US = 60_000_000;

interface Run {
  readonly seconds: number;
  readonly bytes: number;
}

async function timed(directory: string, run: (table: string) => Promise<void>, table: string): Promise<Run> {
  const startMs = performance.now();
  await run(table);
  const seconds = (performance.now() - startMs) / 1_000;
  const [bytes] = (await outputOf("du", "--bytes", "--summarize", table)).split("\t");
  await outputOf("rm", "-r", `${directory}/lake`);
  return { seconds, bytes: Number(bytes) };
}

/** Messages of one a minute, as a collector's windows make them. */
async function fillTopic(url: string): Promise<void> {
  await using producer = await openProducer(url);
  for (let i = 0; i < MESSAGES; i++) {
    await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(MESSAGE_ROWS, i, START_US + i * MESSAGE_US)) }]);
  }
}

const directory = await Deno.makeTempDir(), topic = `${directory}/topic.db`, rows = MESSAGES * MESSAGE_ROWS;
await fillTopic(`sqlite:${topic}`);
const peerPython = await python(), script = new URL("etl_peer.py", import.meta.url).pathname;

async function runOwn(): Promise<void> {
  const { code, stderr } = await runTask("jobs", ["run", "etl", "--topic", `sqlite:${topic}`, "--lake", `${directory}/lake`]);
  if (code !== 0 || !stderr.includes("committed")) throw new Error(`Cannot run the ETL job: ${stderr}`);
}

async function runPeer(table: string): Promise<void> {
  const printed = await outputOf(peerPython, script, topic, table);
  if (Number(printed) !== rows) throw new Error(`Cannot trust the peer: ${printed} of ${rows} rows`);
}

const own: Run[] = [], peer: Run[] = [];
for (let round = 0; round < ROUNDS; round++) {
  own.push(await timed(directory, runOwn, `${directory}/lake/flow`));
  peer.push(await timed(directory, runPeer, `${directory}/lake/peer`));
}
const line = (name: string, runs: readonly Run[]) => {
  const seconds = runs.map((run) => run.seconds).sort((a, b) => a - b);
  const [least, median, most] = [seconds[0]!, seconds[ROUNDS >> 1]!, seconds.at(-1)!];
  const spread = `${least.toFixed(2)} / ${median.toFixed(2)} / ${most.toFixed(2)}`;
  return [name, spread, (rows / median / 1e3).toFixed(0), (runs[0]!.bytes / rows).toFixed(0)];
};
console.log(
  `${rows} rows of ${MESSAGES} messages over ${Math.ceil(MESSAGES / 60)} hours, whole process, start included, ${ROUNDS} rounds\n`,
);
console.log(formatTable(["program", "s, least / median / most", "k rows/s", "bytes a row in the table"], [
  line("skyfall: jobs run etl", own),
  line("PyArrow and delta-rs, unsorted, no offsets", peer),
]));
await Deno.remove(directory, { recursive: true });
Deno.exit(0);
