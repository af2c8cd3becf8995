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
import { buildPreload } from "./faults/preload.ts";
import { type FaultPlace, JobProcess } from "./faults/process.ts";
import { missingCommand, testWith } from "./require.ts";
import { PROJECT } from "./sources.ts";

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

/** Begins a vacuum that stops at some step, and takes it on to its end, or to where it deletes a table's file: then it is stopped. */
async function stopWhereItDeletes(place: FaultPlace): Promise<JobProcess> {
  for (let step = 1;; step++) {
    const job = await JobProcess.start(["vacuum", "--lake", place.folder, "--retain-hours", "0"], place, {
      deed: "stop",
      step,
      seconds: 0,
    });
    assert.equal(await job.stopped(), "stopped", "no step deletes a table's file");
    if (/^unlink hour=/.test(await job.struck() ?? "")) return job;
    job.signal("SIGKILL");
    await job.ended;
  }
}

testWith(await missingCommand("cc", "--version"), "a vacuum goes on where one on another host was faster", async () => {
  const place = await newPlace(), { lake } = place;
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 6, 10 * i);
    await runEtl(place.topic.replace(/\?.*/, ""), lake);
  }
  await runCompact(lake, new Map());
  const library = await buildPreload(place.directory);
  const job = await stopWhereItDeletes({ library, folder: lake, scratch: place.directory, project: PROJECT });
  for await (const { name } of Deno.readDir(`${lake}/_locks`)) await Deno.remove(`${lake}/_locks/${name}`); // they do not reach another host
  assert.ok((await runVacuum(lake, { retainMs: 0, isDryRun: false }))!.length > 0);
  job.signal("SIGCONT");
  const { code, stderr } = await job.ended;
  assert.equal(code, 0, stderr);
});
