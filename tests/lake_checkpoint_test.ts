/** Other programs open a table at our checkpoint, also where the versions before it are gone, and read the messages set aside. */

import assert from "node:assert/strict";
import { outputOf } from "../bench/processes.ts";
import { Database } from "../jobs/duckdb.ts";
import { runEtl } from "../jobs/etl.ts";
import { writeCheckpoint } from "../jobs/lake/checkpoint.ts";
import { listLog, logDirectory, versionFile } from "../jobs/lake/delta_log.ts";
import { readTable, tableDirectory } from "../jobs/lake/table.ts";
import { DEAD_LETTER, FLOW, TABLES } from "../jobs/lake/tables.ts";
import { MESSAGE_ROWS, newPlace, publishFlows } from "../jobs/testdata/topic.ts";
import { openProducer } from "../lib/topic/open.ts";
import { python } from "../tools/cache.ts";
import { missingCommand, testWith } from "./require.ts";

testWith(
  await missingCommand("python3", "--version"),
  "delta-rs goes on from our checkpoint alone, in every table that the ETL job fills",
  async () => {
    const place = await newPlace(), url = place.topic.replace(/\?.*/, "");
    await publishFlows(place.topic, 2, 1);
    {
      await using producer = await openProducer(url);
      await producer.publish([{ partition: 1, value: new TextEncoder().encode("garbage") }]);
    }
    await runEtl(url, place.lake);
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
    for (const definition of TABLES) {
      const directory = tableDirectory(place.lake, definition);
      const snapshot = await readTable(directory, definition, database);
      if (snapshot.version < 0n) continue;
      await writeCheckpoint(directory, snapshot, database);
      for (const version of listLog(directory).versions) await Deno.remove(`${logDirectory(directory)}/${versionFile(version)}`);
    }
    await publishFlows(place.topic, 4, 10);
    await runEtl(url, place.lake);
    const script = new URL("lake_readers/delta_rs_tables.py", import.meta.url).pathname;
    const folders = [FLOW, DEAD_LETTER].map((definition) => tableDirectory(place.lake, definition));
    const [flow, letters] = JSON.parse(await outputOf(await python(), script, ...folders));
    assert.deepEqual([flow.version, flow.rows], [1, 6 * MESSAGE_ROWS]);
    assert.deepEqual(letters, { version: 0, files: 1, rows: 1, offsets: 1 });
  },
);
