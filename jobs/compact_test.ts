/** Compaction: few sorted files instead of many, and the same rows, whatever others do meanwhile. */

import assert from "node:assert/strict";
import { runCompact } from "./compact.ts";
import { writeMerged } from "./compact/merge.ts";
import { planMerges } from "./compact/plan.ts";
import { Database } from "./duckdb.ts";
import { runEtl } from "./etl.ts";
import type { AddFile, Snapshot } from "./lake/delta_log.ts";
import { replace } from "./lake/replace.ts";
import { readTable, type TableDefinition, tableDirectory } from "./lake/table.ts";
import { FLOW } from "./lake/tables.ts";
import { repairLake } from "./repair/repair.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace, versionPlace } from "./testdata/topic.ts";

const NOTHING = new Map<string, number>();
const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");

async function openDatabase(): Promise<Database> {
  return await Database.open({ memoryLimit: "512MB", temporaryDirectory: await Deno.makeTempDir() });
}

async function flowTable(place: TestPlace): Promise<Snapshot> {
  using database = await openDatabase();
  return await readTable(tableDirectory(place.lake, FLOW), FLOW, database);
}

/** A lake with files of several commits in each of a few hours. */
async function newLake(commits = 4): Promise<TestPlace> {
  const place = await newPlace();
  for (let i = 0; i < commits; i++) {
    await publishFlows(place.topic, 6, 10 * i);
    await runEtl(url(place), place.lake);
  }
  return place;
}

const rowsOf = (place: TestPlace) => ask(place.lake, "from flow order by src_partition, src_offset, src_index");

function merging(inputs: readonly AddFile[], add: AddFile) {
  return { operation: "OPTIMIZE", parameters: {}, removes: inputs, adds: [add], dataChange: false, transactions: new Map() };
}

Deno.test("runCompact() leaves a file an hour with the same rows, in the order of services; another run has nothing to do", async () => {
  const place = await newLake(), rows = await rowsOf(place), hours = new Set(rows.map((row) => `${row["date"]} ${row["hour"]}`)).size;
  const filesBefore = (await flowTable(place)).files.size;
  assert.ok(filesBefore >= 3 * hours);
  assert.deepEqual(await runCompact(place.lake, NOTHING), {
    filesBefore,
    filesAfter: hours,
    rows: rows.length,
    conversationHours: 2,
    dropped: 0,
    rolledDays: 0,
  });
  assert.deepEqual(await rowsOf(place), rows);
  const { files, version } = await flowTable(place);
  assert.equal(files.size, hours);
  for (const path of files.keys()) {
    const sorted = `from read_parquet('${tableDirectory(place.lake, FLOW)}/${path}')`;
    const order = "server_service_name, client_service_name, server_port, window_start";
    assert.deepEqual(
      await ask(place.lake, `${sorted} select ${order}`),
      await ask(place.lake, `${sorted} select ${order} order by ${order}`),
    );
  }
  await runCompact(place.lake, NOTHING);
  assert.equal((await flowTable(place)).version, version);
});

Deno.test("a compacted file tells its rows, its bytes and the offsets they came from", async () => {
  const place = await newLake();
  await runCompact(place.lake, NOTHING);
  const { files } = await flowTable(place);
  for (const { path, tags } of files.values()) {
    const name = `${tableDirectory(place.lake, FLOW)}/${path}`, from = `read_parquet('${name}')`;
    const [row] = await ask(place.lake, `select count(*)::varchar as rows from ${from}`);
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(name))).toHex();
    assert.deepEqual([tags!["skyfall.rows"], tags!["skyfall.sha256"]], [row!["rows"], sha256]);
    const ranges: Record<string, [string, string]> = JSON.parse(tags!["skyfall.offsets"]!);
    const sources = await ask(place.lake, `select distinct src_topic || ':' || src_partition as source, src_offset from ${from}`);
    for (const { source, src_offset } of sources) {
      const [first, next] = ranges[String(source)]!;
      assert.ok(BigInt(first) <= BigInt(String(src_offset)) && BigInt(String(src_offset)) < BigInt(next));
    }
  }
});

Deno.test("a file in which the disk changed a byte does not become part of another: it is named, and made again from the topic", async () => {
  const place = await newLake();
  await runCompact(place.lake, NOTHING);
  const [largest] = [...(await flowTable(place)).files.values()].sort((a, b) => b.size - a.size);
  for (let i = 0; i < 4; i++) await publishFlows(place.topic, 6, 900 + 10 * i);
  await runEtl(url(place), place.lake);
  const before = await rowsOf(place);
  const path = `${tableDirectory(place.lake, FLOW)}/${largest!.path}`, bytes = await Deno.readFile(path);
  bytes[1_000]! ^= 1;
  await Deno.writeFile(path, bytes);
  await assert.rejects(runCompact(place.lake, NOTHING), {
    name: "LakeError",
    message: /data file "\S+" has other bytes than when it was committed; .*"jobs repair --lake /,
  });
  await repairLake(place.lake, { topicUrl: url(place), acceptedLosses: [] });
  assert.deepEqual(await rowsOf(place), before);
  await runCompact(place.lake, NOTHING);
  assert.deepEqual(await rowsOf(place), before);
});

Deno.test("late rows are merged into the file of their hour when they are many, and sorted beside it until then", () => {
  const sorted = (size: number) => ({ ...file(size), tags: { "skyfall.sorted": FLOW.sortColumns.join(",") } });
  const sizes = (...files: AddFile[]) => planMerges(FLOW, table(files)).map(({ inputs }) => inputs.map(({ size }) => size));
  assert.deepEqual(sizes(sorted(100), file(25)), [[25, 100]]);
  assert.deepEqual(sizes(sorted(100), file(24)), [[24]]);
  assert.deepEqual(sizes(sorted(100), sorted(24)), []);
  const mib = 2 ** 20;
  assert.deepEqual(sizes(sorted(256 * mib), file(200 * mib)), [[200 * mib]]);
  assert.deepEqual(sizes(file(200 * mib), file(200 * mib), file(200 * mib)), [[200 * mib, 200 * mib], [200 * mib]]);
});

let files = 0;
function file(size: number): AddFile {
  return { path: `f${files++}`, partitionValues: { date: "2026-01-02", hour: "3" }, size, modificationTime: 0, dataChange: true };
}
function table(files: readonly AddFile[]): Pick<Snapshot, "files"> {
  return { files: new Map(files.map((file) => [file.path, file])) };
}

Deno.test("an append meanwhile does not get in the way of a compaction", async () => {
  const place = await newLake(2), directory = tableDirectory(place.lake, FLOW);
  using database = await openDatabase();
  const snapshot = await readTable(directory, FLOW, database), [merge] = planMerges(FLOW, snapshot);
  const add = await writeMerged(database, directory, FLOW, merge!);
  await publishFlows(place.topic, 6, 500);
  await runEtl(url(place), place.lake);
  const rows = await rowsOf(place);
  assert.equal((await replace(directory, FLOW, snapshot, merging(merge!.inputs, add), database))?.version, 3n);
  assert.equal(rows.length, 18 * MESSAGE_ROWS);
  assert.deepEqual(await rowsOf(place), rows);
});

Deno.test("of two compactions of the same files the second changes nothing", async () => {
  const place = await newLake(2), directory = tableDirectory(place.lake, FLOW), rows = await rowsOf(place);
  using database = await openDatabase();
  const snapshot = await readTable(directory, FLOW, database), [merge] = planMerges(FLOW, snapshot);
  const own = await writeMerged(database, directory, FLOW, merge!), other = await writeMerged(database, directory, FLOW, merge!);
  assert.notEqual(await replace(directory, FLOW, snapshot, merging(merge!.inputs, other), database), null);
  assert.equal(await replace(directory, FLOW, snapshot, merging(merge!.inputs, own), database), null);
  assert.deepEqual(await rowsOf(place), rows);
});

Deno.test("a compaction that would change the rows is refused, and leaves no file", async () => {
  const place = await newLake(2), directory = tableDirectory(place.lake, FLOW);
  using database = await openDatabase();
  const wrong: TableDefinition = { ...FLOW, sortColumns: ["src_offset limit 3"] };
  const [merge] = planMerges(wrong, await readTable(directory, FLOW, database));
  await assert.rejects(writeMerged(database, directory, wrong, merge!), {
    name: "LakeError",
    message: /Cannot compact \d+ files .* the file made of them 3; nothing was changed/,
  });
  const names = [...Deno.readDirSync(`${directory}/${merge!.inputs[0]!.path.replace(/\/[^/]*$/, "")}`)].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name.startsWith("compact")), []);
});

Deno.test("a lake of version 1 is compacted with the same rows, and gets the columns that it lacks", async () => {
  const place = await versionPlace(1), rows = await rowsOf(place);
  await runCompact(place.lake, NOTHING);
  assert.deepEqual(await rowsOf(place), rows);
  assert.match((await flowTable(place)).metaData!.schemaString, /late_count/);
});

async function compactAndKill({ lake }: TestPlace, afterMs: number): Promise<void> {
  const args = ["run", "-A", "--no-check", new URL("main.ts", import.meta.url).pathname, "run", "compact", "--lake", lake];
  const job = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
  const killed = setTimeout(() => {
    try {
      job.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it was quicker
    }
  }, afterMs);
  await job.status;
  clearTimeout(killed);
}

Deno.test("a compaction that is killed at any moment changes no row, and the next one goes on", async () => {
  const place = await newLake(3), rows = await rowsOf(place);
  for (let i = 0; i < 8; i++) {
    await compactAndKill(place, 300 + 60 * i);
    assert.deepEqual(await rowsOf(place), rows);
  }
  // The last one that was killed may take a moment to let go of the lock.
  while (await runCompact(place.lake, NOTHING) === null) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(planMerges(FLOW, await flowTable(place)), []);
  assert.deepEqual(await rowsOf(place), rows);
});

Deno.test("runCompact() gives way to another run", async () => {
  const place = await newLake(1);
  using lock = await Deno.open(`${place.lake}/_locks/compact`, { create: true, write: true });
  await lock.lock(true);
  assert.equal(await runCompact(place.lake, NOTHING), null);
});
