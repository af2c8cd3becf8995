/** Jobs of two hosts at one lake, where the locks of one do not reach the other: the slower one gives way, and nothing is lost. */

import assert from "node:assert/strict";
import { runCompact } from "../jobs/compact.ts";
import { runDependencies } from "../jobs/dependencies.ts";
import { runEtl } from "../jobs/etl.ts";
import { newPlace, publishFlows, type TestPlace } from "../jobs/testdata/topic.ts";
import { runVacuum } from "../jobs/vacuum.ts";
import { buildPreload } from "./faults/preload.ts";
import { JobProcess } from "./faults/process.ts";
import { missingCommand, testWith } from "./require.ts";
import { PROJECT } from "./sources.ts";

const MINUTE_MESSAGES = 6;
const compiler = await missingCommand("cc", "--version");

/** Three commits of flows, and the edges of minutes that are closed. */
async function filledPlace(): Promise<TestPlace> {
  const place = await newPlace(), url = place.topic.replace(/\?.*/, "");
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, MINUTE_MESSAGES, 10 * i);
    await runEtl(url, place.lake);
  }
  await runDependencies(url, place.lake, {
    partitions: null,
    group: null,
    follow: false,
    acceptedGaps: [],
    latenessMinutes: 0,
    outputTopic: null,
  });
  return place;
}

/** Begins a job until it stops before a step like this one. */
async function stoppedBefore({ directory, lake }: TestPlace, command: readonly string[], step: RegExp): Promise<JobProcess> {
  const place = { library: await buildPreload(directory), folder: lake, scratch: directory, project: PROJECT };
  for (let number = 1;; number++) {
    const job = await JobProcess.start(command, place, { deed: "stop", step: number, seconds: 0 });
    assert.equal(await job.stopped(), "stopped", `no step is ${step}`);
    if (step.test(await job.struck() ?? "")) return job;
    job.signal("SIGKILL");
    await job.ended;
  }
}

async function releaseLocks(lake: string): Promise<void> {
  for await (const { name } of Deno.readDir(`${lake}/_locks`)) await Deno.remove(`${lake}/_locks/${name}`);
}

testWith(compiler, "a vacuum goes on where one on another host was faster", async () => {
  const place = await filledPlace(), { lake } = place;
  await runCompact(lake, new Map());
  const job = await stoppedBefore(place, ["vacuum", "--lake", lake, "--retain-hours", "0"], /^unlink hour=/);
  await releaseLocks(lake);
  assert.ok((await runVacuum(lake, { retainMs: 0, isDryRun: false }))!.length > 0);
  job.signal("SIGCONT");
  const { code, stderr } = await job.ended;
  assert.equal(code, 0, stderr);
});

testWith(compiler, "a compaction gives way to one on another host that added up the same edges", async () => {
  const place = await filledPlace(), { lake } = place;
  const job = await stoppedBefore(place, ["run", "compact", "--lake", lake], /^write _staging\/.*\.sums$/);
  await releaseLocks(lake);
  assert.ok((await runCompact(lake, new Map()))!.rolledDays > 0);
  job.signal("SIGCONT");
  const { code, stderr } = await job.ended;
  assert.deepEqual([code, /"message":"another compaction was first"/.test(stderr)], [0, true], stderr);
});
