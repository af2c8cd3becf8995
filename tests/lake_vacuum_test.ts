/** Other programs find a compacted table as it was, and agree with us on which of its files are dead. */

import assert from "node:assert/strict";
import { runCompact } from "../jobs/compact.ts";
import { runEtl } from "../jobs/etl.ts";
import { tableDirectory } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { MESSAGE_ROWS, newPlace, publishFlows } from "../jobs/testdata/topic.ts";
import { runVacuum } from "../jobs/vacuum.ts";
import { python } from "../tools/cache.ts";
import { outputOf } from "../bench/processes.ts";
import { missingCommand, testWith } from "./require.ts";

testWith(
  await missingCommand("python3", "--version"),
  "delta-rs counts the same rows, would vacuum the same files, and under its own rules deletes none of them",
  async () => {
    const place = await newPlace(), url = place.topic.replace(/\?.*/, ""), table = tableDirectory(place.lake, FLOW);
    for (let i = 0; i < 3; i++) {
      await publishFlows(place.topic, 6, 10 * i);
      await runEtl(url, place.lake);
    }
    await runCompact(place.lake, new Map());
    const script = new URL("lake_readers/delta_rs_vacuum.py", import.meta.url).pathname;
    const { rows, would, deleted } = JSON.parse((await outputOf(await python(), script, table)).trim());
    const dead = (await runVacuum(place.lake, { retainMs: 0, isDryRun: true }))!.map(({ path }) => path.slice(table.length + 1));
    assert.equal(rows, 18 * MESSAGE_ROWS);
    assert.ok(dead.length > 0);
    assert.deepEqual(would, dead.sort());
    assert.deepEqual(deleted, []);
  },
);
