/** How long after it was published a message is in an answer, while the ETL job follows the topic: to its commit, and to a query that sees it. */

import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { hasLog, listLog, logDirectory, readVersion, versionFile } from "../jobs/lake/delta_log.ts";
import { withLake } from "../jobs/query.ts";
import { RunningTask } from "../tests/command.ts";
import { cpuSeconds, pause } from "./processes.ts";
import { formatTable } from "./table.ts";

const SECONDS = 60, MESSAGES_PER_SECOND = 10, MESSAGE_ROWS = 2_048, PARTITIONS = 4;
const MESSAGES = SECONDS * MESSAGES_PER_SECOND, ASK_INTERVAL_MS = 250;

const folder = await Deno.makeTempDir(), url = `sqlite:${folder}/topic.db`, lake = `${folder}/lake`, directory = `${lake}/flow`;
/** By partition and offset, when it was stored. */
const publishedMs: number[][] = Array.from({ length: PARTITIONS }, () => []);
/** The same, when the first answer came that has it. */
const seenMs: number[][] = Array.from({ length: PARTITIONS }, () => []);
await using producer = await openProducer(`${url}?partitions=${PARTITIONS}`);
const job = await RunningTask.start("jobs", ["run", "etl", "--follow", "--topic", url, "--lake", lake]);
const nowUs = Date.now() * 1_000;
const batches = Array.from({ length: 20 }, (_, seed) => encodeFlowBatch(flowBatch(MESSAGE_ROWS, seed, nowUs - 60_000_000)));
/** Opens the lake and asks it again and again, until every message was seen. */
async function watch(): Promise<void> {
  for (let seen = 0; seen < MESSAGES;) {
    await pause(ASK_INTERVAL_MS);
    if (!hasLog(directory)) continue;
    const rows = await withLake(
      lake,
      (database) => database.rows("select src_partition, max(src_offset)::integer as last from flow group by 1"),
    );
    for (const { src_partition, last } of rows) {
      const times = seenMs[Number(src_partition)]!;
      while (times.length <= Number(last)) {
        times.push(Date.now());
        seen++;
      }
    }
  }
}

const watched = watch(), startMs = Date.now();
for (let i = 0; i < MESSAGES; i++) {
  await producer.publish([{ partition: i % PARTITIONS, value: batches[i % batches.length]! }]);
  publishedMs[i % PARTITIONS]!.push(Date.now());
  await pause(Math.max(0, startMs + (i + 1) * 1_000 / MESSAGES_PER_SECOND - Date.now()));
}
await watched;
const cpu = await cpuSeconds(job.pid);
job.kill("SIGTERM");
const { code, stderr } = await job.ended;
if (code !== 0) throw new Error(`Cannot run the ETL job: ${stderr}`);

const delays: number[] = [];
for (const version of listLog(directory).versions) {
  const committedMs = (await Deno.stat(`${logDirectory(directory)}/${versionFile(version)}`)).mtime!.getTime();
  for (const { commitInfo } of await readVersion(directory, version)) {
    const offsets: Record<string, [string, string]> = JSON.parse(String(commitInfo?.operationParameters?.["offsets"] ?? "{}"));
    for (const [place, [from, to]] of Object.entries(offsets)) {
      const partition = Number(place.slice(place.lastIndexOf(":") + 1));
      for (let offset = Number(from); offset < Number(to); offset++) delays.push(committedMs - publishedMs[partition]![offset]!);
    }
  }
}
if (delays.length !== MESSAGES) throw new Error(`Cannot trust the run: ${delays.length} messages in the lake`);
const seen = seenMs.flatMap((times, partition) => times.map((ms, offset) => ms - publishedMs[partition]![offset]!));

function line(name: string, delaysMs: readonly number[]): string[] {
  const sorted = delaysMs.toSorted((a, b) => a - b);
  return [
    name,
    ...[0.5, 0.99, 1].map((share) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! / 1_000).toFixed(1)),
  ];
}

console.log(
  `${MESSAGES} messages of ${MESSAGE_ROWS} rows in ${SECONDS} s, ${PARTITIONS} partitions; ${listLog(directory).versions.length} commits, ${
    cpu.toFixed(1)
  } s of CPU of the job; asked every ${ASK_INTERVAL_MS} ms\n`,
);
console.log(
  formatTable(["from published, s", "median", "p99", "most"], [line("to committed", delays), line("to an answer that has it", seen)]),
);
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
