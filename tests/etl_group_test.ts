/** The ETL job as members of a consumer group of a real broker: partitions change hands, and no row is lost or doubled. */

import assert from "node:assert/strict";
import { auditLake } from "../jobs/audit/audit.ts";
import { runEtl } from "../jobs/etl.ts";
import { ask, MESSAGE_ROWS, publishFlows } from "../jobs/testdata/topic.ts";
import { Broker } from "../tools/kafka.ts";
import { RunningTask } from "./command.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const missing = firstMissing(await missingCommand("java", "-version"), await missingCommand("mvn", "--version"));
const PLACES = "select count(*)::integer as rows, count(distinct (src_partition, src_offset, src_index))::integer as places from flow";

async function untilRows(lake: string, rows: number): Promise<void> {
  for (;;) {
    const [found] = await ask(lake, "select count(*)::integer as rows from flow");
    if (Number(found!["rows"]) >= rows) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

testWith(missing, "members of a group share the partitions; one that is stopped loses them, goes on, and doubles nothing", async () => {
  await using broker = await Broker.start();
  const url = broker.url("shared"), made = broker.url("shared", "?partitions=2"), lake = await Deno.makeTempDir();
  await publishFlows(made, 4, 1);
  const join = () => RunningTask.start("jobs", ["run", "etl", "--follow", "--group", "lake", "--topic", url, "--lake", lake]);
  const first = await join();
  await first.line('"partitions":"0-1"');
  const second = await join();
  await second.line('"partitions taken"');
  await publishFlows(made, 4, 10);
  await untilRows(lake, 8 * MESSAGE_ROWS);
  first.kill("SIGSTOP");
  await publishFlows(made, 4, 20);
  await second.line('"partitions":"0-1"');
  await untilRows(lake, 12 * MESSAGE_ROWS);
  first.kill("SIGCONT");
  await publishFlows(made, 4, 30);
  await untilRows(lake, 16 * MESSAGE_ROWS);
  second.kill("SIGKILL");
  await publishFlows(made, 4, 40);
  await untilRows(lake, 20 * MESSAGE_ROWS);
  first.kill("SIGTERM");
  const { code, stderr } = await first.ended;
  assert.equal(code, 0, stderr);
  assert.deepEqual(await ask(lake, PLACES), [{ rows: 20 * MESSAGE_ROWS, places: 20 * MESSAGE_ROWS }]);
});

testWith(missing, "messages that a broker deleted before they were read stop the job, until they are given up by offset", async () => {
  await using broker = await Broker.start();
  const url = broker.url("short"), made = broker.url("short", "?partitions=1"), lake = await Deno.makeTempDir();
  const publish = (messages: number, seed: number) => publishFlows(made, messages, seed);
  await publish(1, 1);
  await runEtl(url, lake);
  for (let i = 0; i < 3; i++) await publish(1, 10 + i);
  await broker.administer((admin) => admin.deleteRecords({ topics: [{ name: "short", partitions: [{ partition: 0, offset: 3n }] }] }));
  await assert.rejects(runEtl(url, lake), {
    name: "LakeError",
    message: /up to offset 1, the topic has 3 to before 4; .*"jobs run etl --accept-gap 0:1-3"/,
  });
  const accepted = { partitions: null, group: null, acceptedGaps: [{ partition: 0, from: 1n, to: 3n }], follow: false };
  assert.equal((await runEtl(url, lake, accepted)).rows, MESSAGE_ROWS);
  assert.equal((await runEtl(url, lake)).rows, 0);
});

testWith(
  missing,
  "a topic that was deleted and made anew is taken in from its beginning, beside what the lake has of the former one",
  async () => {
    await using broker = await Broker.start();
    const url = broker.url("again"), made = broker.url("again", "?partitions=1"), lake = await Deno.makeTempDir();
    const publish = (messages: number, seed: number) => publishFlows(made, messages, seed);
    await publish(1, 1);
    await publish(1, 2);
    await runEtl(url, lake);
    await broker.administer((admin) => admin.deleteTopics({ topics: ["again"] }));
    await publish(1, 11);
    assert.equal((await runEtl(url, lake)).rows, MESSAGE_ROWS);
    assert.deepEqual(await ask(lake, PLACES), [{ rows: 3 * MESSAGE_ROWS, places: 2 * MESSAGE_ROWS }]);
    assert.deepEqual((await auditLake(lake, url, () => {})).flatMap(({ problems }) => problems), []);
  },
);
