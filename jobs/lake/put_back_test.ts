/** A commit of ours that another program has put its own over comes back, once. */

import assert from "node:assert/strict";
import { openConsumer, openProducer } from "../../lib/topic/open.ts";
import { auditLake } from "../audit/audit.ts";
import { runCompact } from "../compact.ts";
import { Database } from "../duckdb.ts";
import { runEtl } from "../etl.ts";
import { EtlWriter } from "../etl_writer.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "../testdata/topic.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import { commitVersion, listLog } from "./delta_log.ts";
import { versionFile } from "./log_folder.ts";
import { putBackOverwritten } from "./put_back.ts";
import { readTable } from "./table.ts";
import { FLOW } from "./tables.ts";

/** What another program's commit is that renames without looking: an empty one, as its rows do not matter here. */
async function overwrite(place: TestPlace, version: bigint, table = "flow"): Promise<void> {
  const log = `${place.lake}/${table}/_delta_log`;
  await Deno.writeTextFile(`${log}/.other`, JSON.stringify({ commitInfo: { engineInfo: "Other", operation: "WRITE" } }) + "\n");
  await Deno.rename(`${log}/.other`, `${log}/${versionFile(version)}`);
}

async function assertExact(place: TestPlace, messages: number): Promise<void> {
  const rows = messages * MESSAGE_ROWS;
  assert.deepEqual(
    await ask(
      place.lake,
      "select count(*)::integer as rows, count(distinct (src_partition, src_offset, src_index))::integer as places from flow",
    ),
    [{ rows, places: rows }],
  );
}

async function commitParameters(place: TestPlace, version: bigint): Promise<Record<string, unknown>> {
  const text = await Deno.readTextFile(`${place.lake}/flow/_delta_log/${versionFile(version)}`);
  return JSON.parse(text.split("\n")[0]!).commitInfo.operationParameters;
}

/** A lake of three commits of two messages each. */
async function threeCommits(): Promise<TestPlace> {
  const place = await newPlace();
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 2, 10 * i);
    await runEtl(place.topic, place.lake);
  }
  return place;
}

/** Runs the job on two more messages, and returns the version that it ends with. */
async function moveMore(place: TestPlace): Promise<bigint | null> {
  await publishFlows(place.topic, 2, 100);
  return (await runEtl(place.topic, place.lake)).version;
}

Deno.test("a commit that was overwritten is put back by the next run, though later ones have passed its offsets", async () => {
  const place = await threeCommits(), before = await commitParameters(place, 1n);
  await overwrite(place, 1n);
  await assertExact(place, 4);
  assert.equal(await moveMore(place), 4n);
  await assertExact(place, 8);
  assert.deepEqual(await commitParameters(place, 3n), { ...before, putBack: "1" });
});

Deno.test("an audit names what was overwritten and who puts it back, and finds nothing when that is done", async () => {
  const place = await threeCommits();
  await overwrite(place, 1n);
  const problems = async () => (await auditLake(place.lake, place.topic, () => {})).flatMap((check) => check.problems);
  const [problem, ...others] = await problems();
  assert.match(`${problem!.where}: ${problem!.repair}`, /^table "flow" version 1: jobs run etl --topic URL --lake /);
  assert.ok(others.length > 0, "the rows are missing until then");
  await runEtl(place.topic, place.lake);
  assert.deepEqual(await problems(), []);
});

Deno.test("the newest commit, overwritten, is put back with its offsets: no message is read again", async () => {
  const place = await threeCommits();
  await overwrite(place, 2n);
  assert.deepEqual(await runEtl(place.topic, place.lake), { rows: 0, commits: 0, deadLetters: 0, version: 3n });
  await assertExact(place, 6);
});

Deno.test("a writer that is at work puts back what is overwritten, with its next commit", async () => {
  const place = await threeCommits();
  await using consumer = await openConsumer(place.topic);
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
  await using writer = await EtlWriter.open({ consumer, lake: place.lake, database, partitions: [0, 1], acceptedGaps: [] });
  for (const version of [3n, 4n]) {
    await publishFlows(place.topic, 2, 100 * Number(version));
    await writer.moveOnce(false, new AbortController().signal);
    assert.equal(writer.version, version);
  }
  await overwrite(place, 3n);
  await overwrite(place, 4n);
  await publishFlows(place.topic, 2, 900);
  await writer.moveOnce(false, new AbortController().signal);
  await assertExact(place, 12);
  assert.deepEqual(await writer.moveOnce(false, new AbortController().signal), null);
});

Deno.test("a commit whose messages were read again meanwhile is not put back", async () => {
  const place = await threeCommits(), remembered = `${place.lake}/flow/_commits`;
  await overwrite(place, 2n);
  await Deno.rename(remembered, `${remembered}_aside`);
  assert.equal((await runEtl(place.topic, place.lake)).rows, 2 * MESSAGE_ROWS);
  await Deno.rename(`${remembered}/${versionFile(3n)}`, `${remembered}_aside/${versionFile(3n)}`);
  await Deno.remove(remembered, { recursive: true });
  await Deno.rename(`${remembered}_aside`, remembered);
  assert.equal(await moveMore(place), 4n);
  await assertExact(place, 8);
});

Deno.test("a lake that was copied has nothing to put back", async () => {
  const place = await threeCommits();
  const copy = { ...place, lake: `${place.directory}/copy` };
  assert.ok((await new Deno.Command("cp", { args: ["-r", place.lake, copy.lake] }).output()).success);
  assert.equal(await moveMore(copy), 3n);
  await assertExact(copy, 8);
});

Deno.test("a commit that replaces files is not put back: what it replaced is in the table", async () => {
  const place = await threeCommits(), table = `${place.lake}/flow`;
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
  const { files } = await readTable(table, FLOW, database);
  const [file] = files.values();
  await commitVersion(table, 3n, [
    { commitInfo: { operation: "OPTIMIZE", engineInfo: "Skyfall" } },
    { remove: { path: file!.path, dataChange: false, deletionTimestamp: Date.now() } },
    { add: { ...file, path: "merged.parquet", dataChange: false } },
  ]);
  await overwrite(place, 3n);
  assert.deepEqual([...(await putBackOverwritten(table, FLOW, database)).entries()], [[3n, "to be made again"]]);
  await assertExact(place, 6);
});

Deno.test("a commit whose files were compacted since is not put back beside what they became", async () => {
  const place = await threeCommits();
  await runCompact(place.lake, new Map());
  await overwrite(place, 1n);
  await moveMore(place);
  await assertExact(place, 8);
});

Deno.test("a commit cannot be put back without its files: the error tells which messages are missing", async () => {
  const place = await threeCommits(), path = `${place.lake}/flow/_delta_log/${versionFile(1n)}`;
  for (const line of (await Deno.readTextFile(path)).trim().split("\n")) {
    const { add } = JSON.parse(line);
    if (add) await Deno.remove(`${place.lake}/flow/${decodeURIComponent(add.path)}`);
  }
  await overwrite(place, 1n);
  await assert.rejects(moveMore(place), {
    name: "LakeError",
    message:
      /Cannot put back version 1 .*topic\S*:0 offsets 1 to before 2, topic\S*:1 offsets 1 to before 2 are missing, and a file of it is gone/,
  });
});

Deno.test("a checkpoint that may hold an overwritten commit is removed", async () => {
  const place = await threeCommits(), table = `${place.lake}/flow`;
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: place.directory });
  await writeCheckpoint(table, await readTable(table, FLOW, database), database);
  await overwrite(place, 1n);
  assert.equal(await moveMore(place), 4n);
  assert.deepEqual(listLog(table).checkpoints, []);
  await assertExact(place, 8);
});

Deno.test("messages set aside come back too, where another program overwrites the commit that kept them", async () => {
  const place = await newPlace();
  {
    await using producer = await openProducer(place.topic);
    await producer.publish([{ partition: 1, value: new TextEncoder().encode("garbage") }]);
  }
  await runEtl(place.topic, place.lake);
  await overwrite(place, 0n, "dead_letter");
  assert.deepEqual(await ask(place.lake, "from dead_letter"), []);
  await moveMore(place);
  assert.deepEqual(await ask(place.lake, "select src_partition, src_offset::integer as src_offset from dead_letter"), [
    { src_partition: 1, src_offset: 0 },
  ]);
  const log = await Deno.readTextFile(`${place.lake}/dead_letter/_delta_log/${versionFile(1n)}`);
  assert.match(log, /"protocol":.*\n.*"metaData":/);
});
