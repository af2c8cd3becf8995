/** The audit: a lake that is as it must be passes; each way in which it may not be is found, with its place. */

import assert from "node:assert/strict";
import { openProducer } from "../../lib/topic/open.ts";
import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch, START_US } from "../../lib/testdata/flow_batch.ts";
import { runCompact } from "../compact.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "../dependencies.ts";
import { Database } from "../duckdb.ts";
import { runEtl } from "../etl.ts";
import { sqlText } from "../sql_text.ts";
import { conversationMessage } from "../testdata/conversations.ts";
import { newPlace, publishFlows, type TestPlace } from "../testdata/topic.ts";
import type { AsOf } from "../lake/time_travel.ts";
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

Deno.test("a lake passes whose topic has messages with damaged lengths, which were set aside", async () => {
  const place = await landed();
  {
    await using producer = await openProducer(place.topic);
    for (const at of [60, 4_932]) {
      const damaged = encodeFlowBatch(flowBatch(2_048, 1));
      new DataView(damaged.buffer).setUint32(at, 0x7fff_fff0, true);
      await producer.publish([{ partition: 0, value: damaged }]);
    }
  }
  assert.equal((await runEtl(place.topic, place.lake)).deadLetters, 2);
  assert.deepEqual(await wrong(place), []);
});

/** A lake whose oldest hour was dropped, and with it some of the rows of a message. */
async function withDroppedHour(): Promise<TestPlace> {
  const made = await newPlace(), place = { ...made, topic: made.topic.replace(/\?.*/, "") };
  {
    await using producer = await openProducer(made.topic);
    for (const minutes of [0, 55.5, 57, 4 * 1_440]) {
      await producer.publish([{ partition: 0, value: encodeFlowBatch(flowBatch(40, minutes, START_US + minutes * 60_000_000)) }]);
    }
  }
  await runEtl(place.topic, place.lake);
  const hour = 1 / 24, keepDays = 4 - hour + hour / 60;
  assert.ok((await runCompact(place.lake, new Map([["flow", keepDays]])))!.dropped > 0);
  return place;
}

Deno.test("a lake passes that no longer keeps its oldest hour, though a message had rows in it and in the next", async () => {
  const place = await withDroppedHour();
  assert.deepEqual(await wrong(place), []);
  assert.deepEqual(await wrong(place, false), []);
});

Deno.test("what is missing of the hours that are kept is found, though others were dropped", async () => {
  const place = await withDroppedHour();
  await changeTopic(place, "update message set value = (select value from message where offset = 0) where offset = 2");
  assert.match((await wrong(place)).join("\n"), /has \d+ rows in the lake, and is not in the topic/);
});

Deno.test("a lake passes without its topic", async () => {
  assert.deepEqual(await wrong(await landed(), false), []);
});

Deno.test("a lake passes while its topic keeps a part of it", async () => {
  const place = await landed();
  await changeTopic(place, "delete from message where offset < 2");
  assert.deepEqual(await wrong(place), []);
});

Deno.test("messages that the topic deleted before they were read are found", async () => {
  const place = await landed();
  await publishFlows(place.topic, 8, 200);
  await changeTopic(place, "delete from message where partition = 0 and offset < 9");
  assert.match(
    (await wrong(place)).join("\n"),
    /^the topic read again: "topic.db-.*" partition 0 offsets 7 to 8: the topic has deleted them before/,
  );
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
  bytes[400]! ^= 0x10; // amid the values of the first column: there are bytes of headers that nobody looks at
  await Deno.writeFile(file, bytes);
  assert.notDeepEqual(await wrong(place), []);
});

Deno.test("a file that is named twice doubles rows, and is found", async () => {
  const place = await landed(), file = await dataFile(place);
  await Deno.copyFile(file, file.replace("part-", "part-again-"));
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

/** A lake with edges of some minutes. */
async function withEdges(): Promise<TestPlace> {
  const made = await newPlace(), place = { ...made, topic: made.topic.replace(/\?.*/, "") };
  {
    await using producer = await openProducer(made.topic);
    for (let i = 0; i < 10; i++) await producer.publish([{ partition: i % 2, value: conversationMessage(50, i, i >> 1) }]);
  }
  await runEtl(place.topic, place.lake);
  const options = { partitions: null, group: null, follow: false, acceptedGaps: [], outputTopic: null };
  await runDependencies(place.topic, place.lake, { ...options, latenessMinutes: DEFAULT_LATENESS_MINUTES });
  return place;
}

/** Changes rows of a table's first file, and what the log says of its size, as if they had been written so. */
async function rewriteFile(lake: string, table: string, replaced: string): Promise<void> {
  const logPath = `${lake}/${table}/_delta_log/00000000000000000000.json`;
  const actions = (await Deno.readTextFile(logPath)).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  const { add } = actions.find((action) => action.add !== undefined);
  const path = `${lake}/${table}/${decodeURIComponent(add.path)}`, copy = `${lake}/${table}/copy.parquet`;
  using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: await Deno.makeTempDir() });
  await database.run(
    `copy (select * replace (${replaced}) from read_parquet(${sqlText(path)}, hive_partitioning = false)) to ${sqlText(copy)}`,
  );
  await Deno.rename(copy, path);
  add.size = (await Deno.stat(path)).size;
  await Deno.writeTextFile(logPath, actions.map((action) => JSON.stringify(action) + "\n").join(""));
}

Deno.test("edges that the rows tell pass", async () => {
  assert.deepEqual(await wrong(await withEdges()), []);
});

Deno.test("edges pass also where late rows changed none of them, as estimates of what our agents counted", async () => {
  const made = await newPlace(), place = { ...made, topic: made.topic.replace(/\?.*/, "") };
  const options = { partitions: null, group: null, follow: false, acceptedGaps: [], outputTopic: null };
  await using producer = await openProducer(made.topic);
  for (let i = 0; i < 48; i++) {
    await producer.publish([0, 1].map((partition) => ({ partition, value: conversationMessage(40, 2 * i + partition, i) })));
    if (i % 12 === 11) await runDependencies(place.topic, place.lake, { ...options, latenessMinutes: DEFAULT_LATENESS_MINUTES });
  }
  await runEtl(place.topic, place.lake);
  assert.deepEqual(await wrong(place), []);
});

Deno.test("an edge with another number than the rows tell is found", async () => {
  const place = await withEdges();
  await rewriteFile(place.lake, "edge_1m", "bytes_sent + 1 as bytes_sent");
  assert.match(
    (await wrong(place)).join("\n"),
    /edge_1m found again in flow: minute .* partition \d offsets? .*: holds what flow does not tell: edge from/,
  );
});

Deno.test("a value of a row that was changed in the lake is found", async () => {
  const place = await landed();
  await rewriteFile(place.lake, "flow", "bytes_sent + 1 as bytes_sent");
  assert.match((await wrong(place)).join("\n"), /the topic read again: .* as in the lake, but with other values/);
});

Deno.test("a lake is audited as of an earlier version: what is wrong since then does not count, and what was wrong then does", async () => {
  const place = await landed(), [at0, at1] = [{ version: 0n }, { version: 1n }];
  const wrongAsOf = async (asOf: AsOf) =>
    (await auditLake(place.lake, place.topic, () => {}, asOf)).flatMap(({ problems }) =>
      problems.map(({ where, what }) => `${where}: ${what}`)
    );
  assert.deepEqual([await wrongAsOf(at0), await wrongAsOf(at1)], [[], []]);
  await changeTopic(place, "delete from message where partition = 1 and offset = 4"); // of the second commit
  assert.deepEqual(await wrongAsOf(at0), []);
  assert.match((await wrongAsOf(at1)).join(), /partition 1 offset 4: has 50 rows in the lake, and is not in the topic/);
  await assert.rejects(wrongAsOf({ version: 7n }), { name: "LakeError", message: /Cannot read lake as of version 7/ });
});
