/** How long after it was published a message can be asked for, while the ETL job follows the topic: to the commit that has it. */

import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { listLog, logDirectory, readVersion, versionFile } from "../jobs/lake/delta_log.ts";
import { RunningTask } from "../tests/command.ts";
import { cpuSeconds, pause } from "./processes.ts";
import { formatTable } from "./table.ts";

const SECONDS = 60, MESSAGES_PER_SECOND = 10, MESSAGE_ROWS = 2_048, PARTITIONS = 4;

const folder = await Deno.makeTempDir(), url = `sqlite:${folder}/topic.db`, lake = `${folder}/lake`, directory = `${lake}/flow`;
/** By partition and offset, when it was stored. */
const publishedMs: number[][] = Array.from({ length: PARTITIONS }, () => []);
await using producer = await openProducer(`${url}?partitions=${PARTITIONS}`);
const job = await RunningTask.start("jobs", ["run", "etl", "--follow", "--topic", url, "--lake", lake]);
const nowUs = Date.now() * 1_000;
const batches = Array.from({ length: 20 }, (_, seed) => encodeFlowBatch(flowBatch(MESSAGE_ROWS, seed, nowUs - 60_000_000)));
const startMs = Date.now();
for (let i = 0; i < SECONDS * MESSAGES_PER_SECOND; i++) {
  await producer.publish([{ partition: i % PARTITIONS, value: batches[i % batches.length]! }]);
  publishedMs[i % PARTITIONS]!.push(Date.now());
  await pause(Math.max(0, startMs + (i + 1) * 1_000 / MESSAGES_PER_SECOND - Date.now()));
}
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
if (delays.length !== SECONDS * MESSAGES_PER_SECOND) throw new Error(`Cannot trust the run: ${delays.length} messages in the lake`);
delays.sort((a, b) => a - b);
const at = (share: number) => (delays[Math.min(delays.length - 1, Math.floor(delays.length * share))]! / 1_000).toFixed(1);
console.log(`${delays.length} messages of ${MESSAGE_ROWS} rows in ${SECONDS} s, ${PARTITIONS} partitions\n`);
console.log(formatTable(["published to committed, s: median", "p99", "most", "commits", "CPU of the job, s"], [
  [at(0.5), at(0.99), at(1), listLog(directory).versions.length, cpu.toFixed(1)],
]));
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
