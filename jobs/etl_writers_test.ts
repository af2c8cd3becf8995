/** Writers of the ETL job side by side, stopped, overtaken and killed: every row of the topic is in the lake once. */

import assert from "node:assert/strict";
import { RunningTask } from "../tests/command.ts";
import { runEtl } from "./etl.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "./testdata/topic.ts";

const PLACES = "select count(*)::integer as rows, count(distinct (src_partition, src_offset, src_index))::integer as places from flow";
const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");

function start(place: TestPlace, ...more: string[]): Promise<RunningTask> {
  return RunningTask.start("jobs", ["run", "etl", "--follow", "--topic", url(place), "--lake", place.lake, ...more]);
}

async function untilRows(place: TestPlace, rows: number): Promise<void> {
  for (;;) {
    const [found] = await ask(place.lake, "select count(*)::integer as rows from flow");
    if (Number(found!["rows"]) >= rows) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

Deno.test("two writers move the partitions that they were given, each beside the other", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 6, 1);
  await runEtl(url(place), place.lake, { partitions: [1], group: null, acceptedGaps: [], follow: false });
  assert.deepEqual(await ask(place.lake, "select distinct src_partition from flow"), [{ src_partition: 1 }]);
  const writers = [await start(place, "--partitions", "0"), await start(place, "--partitions", "1")];
  await untilRows(place, 6 * MESSAGE_ROWS);
  await publishFlows(place.topic, 8, 100);
  await untilRows(place, 14 * MESSAGE_ROWS);
  for (const writer of writers) {
    writer.kill("SIGTERM");
    const { code, stderr } = await writer.ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /"etl done"/);
  }
  assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 14 * MESSAGE_ROWS, places: 14 * MESSAGE_ROWS }]);
});

Deno.test("a writer that was stopped and overtaken finds that out when it goes on, and doubles nothing", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 2, 1);
  const stopped = await start(place);
  await stopped.line('"committed"');
  await publishFlows(place.topic, 4, 50);
  // It has read them, or will, and waits for more until its commit is old enough.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  stopped.kill("SIGSTOP");
  for (const { name } of Deno.readDirSync(`${place.lake}/_locks`)) await Deno.remove(`${place.lake}/_locks/${name}`); // as on another host
  assert.equal((await runEtl(url(place), place.lake)).rows, 4 * MESSAGE_ROWS);
  stopped.kill("SIGCONT");
  assert.match(await stopped.line("another writer was first"), /"discarded":1/);
  await publishFlows(place.topic, 2, 90);
  await untilRows(place, 8 * MESSAGE_ROWS);
  stopped.kill("SIGTERM");
  assert.equal((await stopped.ended).code, 0);
  assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 8 * MESSAGE_ROWS, places: 8 * MESSAGE_ROWS }]);
});

Deno.test("a writer that follows waits for the one that holds its partitions, and goes on when that is killed", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 2, 1);
  const first = await start(place);
  await first.line('"committed"');
  const second = await start(place);
  await second.line('"waiting for another writer"');
  first.kill("SIGKILL");
  await first.ended;
  await publishFlows(place.topic, 2, 50);
  await second.line('"committed"');
  second.kill("SIGTERM");
  assert.equal((await second.ended).code, 0);
  assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 4 * MESSAGE_ROWS, places: 4 * MESSAGE_ROWS }]);
});
