/** Checkpoints hold the whole state of a table, and what is older than they are may go. */

import assert from "node:assert/strict";
import { Database } from "../duckdb.ts";
import { runEtl } from "../etl.ts";
import { newPlace, publishFlows } from "../testdata/topic.ts";
import { append } from "./append.ts";
import { CHECKPOINT_VERSIONS, removeExpiredLog, writeCheckpoint } from "./checkpoint.ts";
import { commitVersion, listLog, logDirectory, type Snapshot, versionFile } from "./delta_log.ts";
import { readTable, readTableHead } from "./table.ts";
import { FLOW } from "./tables.ts";

const database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });

/** A table of some commits, one of which takes a file out. */
async function newTable(): Promise<{ readonly directory: string; readonly snapshot: Snapshot }> {
  const place = await newPlace(), url = place.topic.replace(/\?.*/, ""), directory = `${place.lake}/flow`;
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 4, 10 * i);
    await runEtl(url, place.lake);
  }
  const { version, files } = await readTable(directory, FLOW, database);
  const { path, size, partitionValues } = files.values().next().value!;
  const remove = { path, size, partitionValues, dataChange: true, deletionTimestamp: Date.now(), extendedFileMetadata: true };
  assert.ok(await commitVersion(directory, version + 1n, [{ remove }]));
  return { directory, snapshot: await readTable(directory, FLOW, database) };
}

/** What a snapshot says, without what tells an action of a checkpoint from one of the log. */
function plain({ version, files, tombstones, transactions, metaData, protocol }: Snapshot): unknown {
  const added = [...files.values()].map(({ dataChange: _, ...add }) => add).sort((a, b) => (a.path < b.path ? -1 : 1));
  const { id, schemaString, partitionColumns, configuration } = metaData!;
  return { version, added, gone: [...tombstones.values()], transactions, id, schemaString, partitionColumns, configuration, protocol };
}

Deno.test("a table reads the same from a checkpoint as from its log", async () => {
  const { directory, snapshot } = await newTable();
  await writeCheckpoint(directory, snapshot, database);
  for (const version of listLog(directory).versions) await Deno.remove(`${logDirectory(directory)}/${versionFile(version)}`);
  const again = await readTable(directory, FLOW, database);
  assert.deepEqual(plain(again), plain(snapshot));
  assert.equal(again.checkpointVersion, snapshot.version);
});

Deno.test("a writer opens a table without the files of its checkpoint, and writes the next checkpoint with them", async () => {
  const { directory, snapshot } = await newTable();
  await writeCheckpoint(directory, snapshot, database);
  let head = await readTableHead(directory, FLOW, database);
  assert.deepEqual([head.version, head.files.size, head.transactions], [snapshot.version, 0, snapshot.transactions]);
  const nothing = { operation: "TEST", parameters: {}, adds: [], transactions: new Map() };
  while (listLog(directory).checkpoints.length < 2) head = (await append(directory, FLOW, head, nothing, database))!;
  assert.deepEqual((await readTable(directory, FLOW, database, head.version)).files.size, snapshot.files.size);
});

Deno.test("a checkpoint leaves nothing beside it, and takes the place of one that another program summed up", async () => {
  const { directory, snapshot } = await newTable(), folder = logDirectory(directory);
  const name = `${String(snapshot.version).padStart(20, "0")}.checkpoint.parquet`;
  for (const file of [name, `.${name}.crc`, "_last_checkpoint", "._last_checkpoint.crc"]) {
    await Deno.writeTextFile(`${folder}/${file}`, "stale");
  }
  await writeCheckpoint(directory, snapshot, database);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => !/^\d{20}\.json$/.test(name));
  assert.deepEqual(names.sort(), [name, "_last_checkpoint"]);
  assert.equal(JSON.parse(await Deno.readTextFile(`${folder}/_last_checkpoint`)).version, Number(snapshot.version));
});

Deno.test("append() writes a checkpoint when one is due", async () => {
  const { directory, snapshot } = await newTable();
  let latest = snapshot;
  while (latest.version < CHECKPOINT_VERSIONS) {
    const nothing = { operation: "TEST", parameters: {}, adds: [], transactions: new Map() };
    latest = (await append(directory, FLOW, latest, nothing, database))!;
  }
  assert.deepEqual(listLog(directory).checkpoints.map(({ version }) => version), [CHECKPOINT_VERSIONS - 1n]);
  assert.equal(latest.checkpointVersion, CHECKPOINT_VERSIONS - 1n);
});

Deno.test("removeExpiredLog() removes what is older than the newest checkpoint of before a time, and the table stays", async () => {
  const { directory, snapshot } = await newTable();
  assert.equal(await removeExpiredLog(directory, Date.now() + 1_000), 0);
  await writeCheckpoint(directory, snapshot, database);
  assert.ok(await commitVersion(directory, snapshot.version + 1n, [{ txn: { appId: "a", version: 1 } }]));
  assert.equal(await removeExpiredLog(directory, Date.now() - 60_000), 0);
  assert.equal(await removeExpiredLog(directory, Date.now() + 1_000), Number(snapshot.version));
  assert.deepEqual(listLog(directory).versions, [snapshot.version, snapshot.version + 1n]);
  assert.equal((await readTable(directory, FLOW, database)).transactions.get("a"), 1n);
});
