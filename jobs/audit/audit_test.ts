/** The audit: a lake that is as it must be passes; each way in which it may not be is found, with its place. */

import assert from "node:assert/strict";
import { openProducer } from "../../lib/topic/open.ts";
import { runEtl } from "../etl.ts";
import { newPlace, publishFlows, type TestPlace } from "../testdata/topic.ts";
import { auditLake } from "./audit.ts";

const MESSAGES = 6;

/** A lake of two commits, and its topic, with a message that was set aside. */
async function landed(): Promise<TestPlace> {
  const made = await newPlace();
  const place = { ...made, topic: made.topic.replace(/\?.*/, "") };
  await publishFlows(made.topic, MESSAGES, 1);
  await runEtl(place.topic, place.lake);
  await using producer = await openProducer(place.topic);
  await producer.publish([{ partition: 0, value: new TextEncoder().encode("garbage") }]);
  await publishFlows(made.topic, MESSAGES, 100);
  await runEtl(place.topic, place.lake);
  return place;
}

/** What is wrong, as "check: where: what". */
async function wrong({ lake, topic }: TestPlace, withTopic = true): Promise<string[]> {
  const checks = await auditLake(lake, withTopic ? topic : null, () => {});
  return checks.flatMap(({ name, problems }) => problems.map(({ where, what }) => `${name}: ${where}: ${what}`));
}

async function dataFile({ lake }: TestPlace): Promise<string> {
  const log = await Deno.readTextFile(`${lake}/flow/_delta_log/00000000000000000000.json`);
  const { add } = log.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)).find((action) => action.add !== undefined);
  return `${lake}/flow/${decodeURIComponent(add.path)}`;
}

/** Changes the actions of a commit, as a faulty writer would have written them. */
async function rewriteCommit(
  { lake }: TestPlace,
  version: number,
  change: (action: Record<string, Record<string, unknown>>) => void,
): Promise<void> {
  const path = `${lake}/flow/_delta_log/${String(version).padStart(20, "0")}.json`;
  const actions = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  actions.forEach(change);
  await Deno.writeTextFile(path, actions.map((action) => JSON.stringify(action) + "\n").join(""));
}

async function changeTopic({ directory }: TestPlace, sql: string): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(`${directory}/topic.db`);
  database.exec(sql);
  database.close();
}

Deno.test("a lake that holds the topic once passes", async () => {
  assert.deepEqual(await wrong(await landed()), []);
});

Deno.test("a lake passes without its topic", async () => {
  assert.deepEqual(await wrong(await landed(), false), []);
});

Deno.test("a lake passes while its topic keeps a part of it", async () => {
  const place = await landed();
  await changeTopic(place, "delete from message where offset < 2");
  assert.deepEqual(await wrong(place), []);
});

Deno.test("a missing file is found, and the messages whose rows it had", async () => {
  const place = await landed(), file = await dataFile(place);
  await Deno.remove(file);
  const found = await wrong(place);
  assert(found.includes(`files of flow: ${file}: is missing`), found.join("\n"));
  assert(
    found.some((line) => /the topic read again: "topic.db-.*" partition 0 offset 0: has 50 rows, and \d+ in the lake/.test(line)),
    found.join("\n"),
  );
});

Deno.test("a truncated file is found", async () => {
  const place = await landed(), file = await dataFile(place);
  const { size } = await Deno.stat(file);
  await Deno.truncate(file, size - 1);
  assert((await wrong(place)).includes(`files of flow: ${file}: has ${size - 1} bytes, and ${size} when it was committed`));
});

Deno.test("a byte that has changed is found", async () => {
  const place = await landed(), file = await dataFile(place);
  const bytes = await Deno.readFile(file);
  bytes[Math.floor(bytes.length / 3)]! ^= 0x10;
  await Deno.writeFile(file, bytes);
  assert.notDeepEqual(await wrong(place), []);
});

Deno.test("a file that is named twice doubles rows, and is found", async () => {
  const place = await landed(), file = await dataFile(place);
  await Deno.copyFile(file, file.replace("part-", "part-again-"));
  await rewriteCommit(place, 1, (action) => {
    if (action["add"] === undefined) return;
    const path = String(action["add"]["path"]);
    if (path.split("/").slice(0, 2).join("/") === file.split("/").slice(-3, -1).join("/")) return;
  });
  const path = `${place.lake}/flow/_delta_log/00000000000000000001.json`;
  const { add } = (await Deno.readTextFile(`${place.lake}/flow/_delta_log/00000000000000000000.json`)).split("\n")
    .filter((line) => line !== "").map((line) => JSON.parse(line)).find((action) => action.add !== undefined);
  await Deno.writeTextFile(path, `${JSON.stringify({ add: { ...add, path: add.path.replace("part-", "part-again-") } })}\n`, {
    append: true,
  });
  const found = await wrong(place);
  assert(found.some((line) => /rows are there once: .* offset 0: has \d+ rows whose indices are not 0 to/.test(line)), found.join("\n"));
});

Deno.test("offsets that no commit took in are found", async () => {
  const place = await landed();
  await rewriteCommit(place, 0, ({ txn }) => {
    if (txn !== undefined && String(txn["appId"]).endsWith(":0")) txn["version"] = 2;
  });
  await rewriteCommit(place, 0, ({ commitInfo }) => {
    if (commitInfo !== undefined) commitInfo["operationParameters"] = { offsets: JSON.stringify({ "topic:0": ["0", "2"] }) };
  });
  await rewriteCommit(place, 1, ({ commitInfo }) => {
    if (commitInfo !== undefined) commitInfo["operationParameters"] = { offsets: JSON.stringify({ "topic:0": ["3", "7"] }) };
  });
  assert(
    (await wrong(place)).includes(
      'offset ranges tile: "topic" partition 0 offset 2: no commit took them in: version 0 ends before, version 1 begins after',
    ),
  );
});

Deno.test("a message with other values is found", async () => {
  const place = await landed();
  await changeTopic(
    place,
    `update message set value = (select value from message where partition = 1 and offset = 2) where partition = 1 and offset = 1`,
  );
  const found = await wrong(place);
  assert.equal(found.length, 1, found.join("\n"));
  assert.match(found[0]!, /the topic read again: "topic.db-.*" partition 1 offset 1: has 50 rows as in the lake, but with other values/);
});

Deno.test("a message that the topic lost is found", async () => {
  const place = await landed();
  await changeTopic(place, "delete from message where partition = 1 and offset = 1");
  assert.match((await wrong(place)).join(), /partition 1 offset 1: has 50 rows in the lake, and is not in the topic/);
});
