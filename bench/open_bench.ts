/**
 * How long a table takes to open as its log grows, beside delta-rs; and how long the ETL job takes from its start after kill -9
 * to its first new commit.
 */

import { Database } from "../jobs/duckdb.ts";
import { listLog, logDirectory, versionFile } from "../jobs/lake/delta_log.ts";
import { readTable, readTableHead } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { publishFlows } from "../jobs/testdata/topic.ts";
import { RunningTask } from "../tests/command.ts";
import { python } from "../tools/cache.ts";
import { exists } from "../tools/present.ts";
import { makeCommits } from "./commits.ts";
import { outputOf, pause } from "./processes.ts";
import { formatTable } from "./table.ts";

const COMMITS = [1, 1_000, 100_000];
const ROUNDS = 5;
const PEER = `
import sys, time
from deltalake import DeltaTable
DeltaTable(sys.argv[1])
seconds = []
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    table = DeltaTable(sys.argv[1])
    len(table.file_uris())
    seconds.append(time.perf_counter() - start)
print(sorted(seconds)[len(seconds) // 2])
`;

const folder = await Deno.makeTempDir(), peerPython = await python();
using database = await Database.open({ memoryLimit: "2GB", temporaryDirectory: folder });

async function median(rounds: number, run: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const startMs = performance.now();
    await run();
    times.push(performance.now() - startMs);
  }
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

/** From the start of the process to the file of its commit, after one like it was killed; least, median and most. */
async function restarts(lake: string): Promise<string> {
  const topic = `sqlite:${folder}/${crypto.randomUUID()}.db`, directory = `${lake}/flow`;
  const times: number[] = [];
  for (let i = 0; i <= ROUNDS; i++) {
    await publishFlows(topic, 1, i);
    const version = (listLog(directory).versions.at(-1) ?? -1n) + 1n;
    const startMs = performance.now();
    const job = await RunningTask.start("jobs", ["run", "etl", "--follow", "--topic", topic, "--lake", lake]);
    while (!await exists(`${logDirectory(directory)}/${versionFile(version)}`)) await pause(5);
    times.push(performance.now() - startMs);
    job.kill("SIGKILL");
    await job.ended;
  }
  const [least, mid, most] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) => times.slice(1).sort((a, b) => a - b)[i]!);
  return [least!, mid!, most!].map((ms) => (ms / 1_000).toFixed(2)).join(" / ");
}

const rows: string[][] = [];
for (const commits of COMMITS) {
  const lake = `${folder}/lake_${commits}`, directory = `${lake}/flow`;
  await makeCommits(directory, commits, database);
  const own = await median(ROUNDS, async () => void await readTable(directory, FLOW, database));
  const head = await median(ROUNDS, async () => void await readTableHead(directory, FLOW, database));
  const peer = Number(await outputOf(peerPython, "-c", PEER, directory, String(ROUNDS))) * 1_000;
  rows.push([String(commits), own.toFixed(0), head.toFixed(0), peer.toFixed(0), await restarts(lake)]);
}
console.log(formatTable(["commits", "open, ms", "to append, ms", "delta-rs, ms", "kill -9 to commit, s: least / median / most"], rows));
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
