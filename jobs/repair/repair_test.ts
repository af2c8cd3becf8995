/** Damaged files are replaced by what the topic still has; what it does not have is given up only where that was said. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { auditLake } from "../audit/audit.ts";
import { runCompact } from "../compact.ts";
import { Database } from "../duckdb.ts";
import { runEtl } from "../etl.ts";
import { versionFile } from "../lake/delta_log.ts";
import { dataFilePath, readTable } from "../lake/table.ts";
import { FLOW } from "../lake/tables.ts";
import { repairLake } from "./repair.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "../testdata/topic.ts";

const SUMS = `select count(*)::integer as rows, count(distinct (src_partition, src_offset, src_index))::integer as places,
  sum(bytes_sent)::varchar as bytes, sum(len(client_ports))::varchar as ports from flow`;
const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const fromTopic = (place: TestPlace) => ({ topicUrl: url(place), acceptedLosses: [] });

/** A lake of three commits over two hours, and the paths of its files. */
async function newLake(): Promise<TestPlace> {
  const place = await newPlace();
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 6, 10 * i);
    await runEtl(url(place), place.lake);
  }
  return place;
}

async function filePaths({ lake }: TestPlace): Promise<string[]> {
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
  return [...(await readTable(`${lake}/flow`, FLOW, database)).files.keys()].map((path) => dataFilePath(`${lake}/flow`, path)).sort();
}

Deno.test("repairLake() restores files that are missing, cut short or overwritten, row for row", async () => {
  const place = await newLake(), before = await ask(place.lake, SUMS), paths = await filePaths(place);
  await Deno.remove(paths[0]!);
  await Deno.truncate(paths[1]!, 1_000);
  const { size } = await Deno.stat(paths.at(-1)!);
  await Deno.writeFile(paths.at(-1)!, new Uint8Array(size));
  await assert.rejects(ask(place.lake, SUMS), { message: /"jobs repair --lake .* --topic URL"/ });
  assert.equal((await repairLake(place.lake, fromTopic(place)))!.files, 3);
  assert.deepEqual(await ask(place.lake, SUMS), before);
  assert.deepEqual(await repairLake(place.lake, fromTopic(place)), { files: 0, restoredRows: 0, lostRows: 0 });
});

Deno.test("repairLake() restores a compacted file, beside rows of its hour that came later", async () => {
  const place = await newLake();
  await runCompact(place.lake, new Map());
  const [compacted] = await filePaths(place);
  await publishFlows(place.topic, 6, 90);
  await runEtl(url(place), place.lake);
  const before = await ask(place.lake, SUMS);
  await Deno.remove(compacted!);
  assert.equal((await repairLake(place.lake, fromTopic(place)))!.lostRows, 0);
  assert.deepEqual(await ask(place.lake, SUMS), before);
});

Deno.test("repairLake() gives up what the topic no longer has only where that was said, and counts it", async () => {
  const place = await newLake();
  // The first message of partition 0, all of one hour, is in the first commit's file of that hour.
  await Deno.remove((await filePaths(place)).find((path) => /hour=3\/part-0-0-/.test(path))!);
  const database = new DatabaseSync(`${place.directory}/topic.db`);
  database.exec("delete from message where partition = 0 and offset = 0");
  database.close();
  await assert.rejects(repairLake(place.lake, fromTopic(place)), {
    name: "LakeError",
    message:
      /flow\/date=2026-01-02\/hour=3" lacks 1 file of 150 rows, 100 of which are left; .*or give it up with "jobs repair --lake .* --topic .* --accept-loss flow\/date=2026-01-02\/hour=3"/,
  });
  const result = await repairLake(place.lake, { topicUrl: url(place), acceptedLosses: ["flow"] });
  assert.equal(result!.lostRows, MESSAGE_ROWS);
  assert.deepEqual(await ask(place.lake, "select count(*)::integer as rows from flow"), [{ rows: 17 * MESSAGE_ROWS }]);
  assert.deepEqual((await auditLake(place.lake, url(place), () => {})).flatMap(({ problems }) => problems), []);
});

Deno.test("repairLake() puts a version of the log back that we remember", async () => {
  const place = await newLake(), before = await ask(place.lake, SUMS);
  await Deno.remove(`${place.lake}/flow/_delta_log/${versionFile(1n)}`);
  await assert.rejects(ask(place.lake, SUMS), { name: "LakeError", message: /put it back with "jobs repair --lake \S+"/ });
  await repairLake(place.lake, { topicUrl: null, acceptedLosses: [] });
  assert.deepEqual(await ask(place.lake, SUMS), before);
});

Deno.test("repairLake() fills a hole in the log where what it brought is given up", async () => {
  const place = await newLake();
  const file = `flow/_delta_log/${versionFile(1n)}`;
  await Deno.remove(`${place.lake}/${file}`);
  await Deno.remove(`${place.lake}/${file.replace("_delta_log", "_commits")}`);
  const command = `jobs repair --lake ${place.lake} --accept-loss ${file}`;
  await assert.rejects(repairLake(place.lake, fromTopic(place)), (error: Error) => error.message.includes(`"${command}"`));
  await repairLake(place.lake, { topicUrl: null, acceptedLosses: [file] });
  assert.deepEqual(await ask(place.lake, "select count(*)::integer as rows from flow"), [{ rows: 12 * MESSAGE_ROWS }]);
});

Deno.test("repairLake() replaces a version of the log that is damaged, by our copy or by an empty one where that is said", async () => {
  const place = await newLake(), before = await ask(place.lake, SUMS), file = `flow/_delta_log/${versionFile(1n)}`;
  const copy = `${place.lake}/${file.replace("_delta_log", "_commits")}`;
  await Deno.rename(copy, `${copy}.aside`);
  await Deno.copyFile(`${copy}.aside`, copy);
  await Deno.writeTextFile(`${place.lake}/${file}`, "{");
  await assert.rejects(
    ask(place.lake, SUMS),
    (error: Error) => error.message.includes(`"jobs repair --lake ${place.lake} --accept-loss ${file}"`),
  );
  await repairLake(place.lake, { topicUrl: null, acceptedLosses: [] });
  assert.deepEqual(await ask(place.lake, SUMS), before);
  for (const path of [`${place.lake}/${file}`, copy]) await Deno.writeTextFile(path, "{}{");
  await assert.rejects(repairLake(place.lake, { topicUrl: null, acceptedLosses: [] }), { name: "LakeError", message: /line 1 is no JSON/ });
  await repairLake(place.lake, { topicUrl: null, acceptedLosses: [file] });
  assert.deepEqual(await ask(place.lake, "select count(*)::integer as rows from flow"), [{ rows: 12 * MESSAGE_ROWS }]);
});
