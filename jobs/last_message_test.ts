/** A topic that was cut and has grown again, or is another of the same offsets, is noticed, and gone on with only where that is said. */

import assert from "node:assert/strict";
import { auditLake } from "./audit/audit.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "./dependencies.ts";
import { ALL_ONCE, runEtl } from "./etl.ts";
import { parseOtherMessages } from "./last_message.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "./testdata/topic.ts";

const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const path = ({ directory }: TestPlace) => `${directory}/topic.db`;

/** A lake that has taken in 10 messages of a topic, which then is as it was after 2, but grown by 12 others since. */
async function newLake(run: (place: TestPlace) => Promise<unknown>): Promise<TestPlace> {
  const place = await newPlace();
  await publishFlows(place.topic, 2, 0);
  await Deno.copyFile(path(place), `${path(place)}.old`);
  await publishFlows(place.topic, 8, 10);
  await run(place);
  for (const suffix of ["-wal", "-shm"]) await Deno.remove(path(place) + suffix).catch(() => null);
  await Deno.rename(`${path(place)}.old`, path(place));
  await publishFlows(place.topic, 12, 90);
  return place;
}

const problems = async (place: TestPlace) => (await auditLake(place.lake, url(place), () => {})).flatMap((check) => check.problems);

Deno.test("a topic that was cut and has grown again is noticed by the ETL job and the audit, which name what goes on with it", async () => {
  const place = await newLake((place) => runEtl(url(place), place.lake)),
    before = await ask(place.lake, "select count(*) as rows from flow");
  await assert.rejects(runEtl(url(place), place.lake), {
    name: "LakeError",
    message: /partition 0: its message at offset 4 is another .* go on there with "jobs run etl --accept-other-messages 0:5"$/,
  });
  assert.deepEqual(await ask(place.lake, "select count(*) as rows from flow"), before);
  assert.ok((await problems(place)).some(({ repair }) => repair.endsWith("or jobs run etl --accept-other-messages 1:5")));
  const acceptedOthers = [0, 1].map((partition) => ({ partition, offset: 5n }));
  await runEtl(url(place), place.lake, { ...ALL_ONCE, acceptedOthers });
  assert.deepEqual(await ask(place.lake, "select count(*)::integer as rows from flow"), [{ rows: 14 * MESSAGE_ROWS }]);
  assert.deepEqual(await problems(place), []);
  await publishFlows(place.topic, 2, 200);
  await runEtl(url(place), place.lake);
  assert.deepEqual(await problems(place), []);
});

Deno.test("the dependencies job notices it too", async () => {
  const options = { ...ALL_ONCE, latenessMinutes: DEFAULT_LATENESS_MINUTES, outputTopic: null };
  const place = await newLake((place) => runDependencies(url(place), place.lake, options));
  await assert.rejects(runDependencies(url(place), place.lake, options), {
    name: "LakeError",
    message: /is another .*"jobs run dependencies --accept-other-messages 0:5"$/,
  });
  const acceptedOthers = [0, 1].map((partition) => ({ partition, offset: 5n }));
  await runDependencies(url(place), place.lake, { ...options, acceptedOthers });
  await runDependencies(url(place), place.lake, options);
});

Deno.test("parseOtherMessages() takes a partition and an offset alone", () => {
  assert.deepEqual(parseOtherMessages("3:41"), { partition: 3, offset: 41n });
  for (const text of ["", "3", "3:4-5", "-1:4", "a:4"]) assert.throws(() => parseOtherMessages(text), SyntaxError);
});
