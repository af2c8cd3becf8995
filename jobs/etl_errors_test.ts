/** What stops the ETL job says which file or offset it is about and what to do; nothing is jumped over, lost or doubled. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openProducer } from "../lib/topic/open.ts";
import { ALL_ONCE, runEtl } from "./etl.ts";
import { listLog, readVersion, versionFile } from "./lake/delta_log.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "./testdata/topic.ts";

const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");
const PLACES = "select count(*)::integer as rows, count(distinct (src_partition, src_offset, src_index))::integer as places from flow";
const accepting = (from: bigint, to: bigint) => ({ ...ALL_ONCE, acceptedGaps: [{ partition: 0, from, to }] });

async function newTopic(messages: number): Promise<TestPlace> {
  const place = await newPlace();
  await publishFlows(place.topic, messages, 1);
  return place;
}

function deleteMessages(place: TestPlace, where: string): void {
  const database = new DatabaseSync(`${place.directory}/topic.db`);
  database.exec(`delete from message where partition = 0 and ${where}`);
  database.close();
}

async function commitInfo(place: TestPlace, version: bigint) {
  return (await readVersion(`${place.lake}/flow`, version)).find(({ commitInfo }) => commitInfo)!.commitInfo!;
}

/** Undoes the last commit of `flow`, as if the job had been killed right before it. */
async function killBeforeCommit(place: TestPlace): Promise<void> {
  const directory = `${place.lake}/flow`, last = listLog(directory).versions.at(-1)!;
  await Deno.remove(`${directory}/_delta_log/${versionFile(last)}`);
}

async function publishBytes(place: TestPlace, value: Uint8Array): Promise<void> {
  await using producer = await openProducer(url(place));
  await producer.publish([{ partition: 0, value }]);
}

Deno.test("runEtl() stops where retention has passed its offset, and goes on when that is accepted, which the history keeps", async () => {
  const place = await newTopic(2);
  await runEtl(url(place), place.lake);
  await publishFlows(place.topic, 8, 50);
  deleteMessages(place, "offset < 3");
  await assert.rejects(runEtl(url(place), place.lake), {
    name: "LakeError",
    message: /partition 0: the lake has it up to offset 1, the topic has 3 to before 5; .*"jobs run etl --accept-gap 0:1-3"/,
  });
  assert.equal((await runEtl(url(place), place.lake, accepting(1n, 3n))).rows, 6 * MESSAGE_ROWS);
  const { operationParameters } = await commitInfo(place, 1n), topic = Object.keys(JSON.parse(String(operationParameters!["gaps"])))[0]!;
  assert.deepEqual(JSON.parse(String(operationParameters!["gaps"])), { [topic]: ["1", "3"] });
  assert.deepEqual(JSON.parse(String(operationParameters!["offsets"]))[topic], ["3", "5"]);
});

Deno.test("runEtl() stops at a hole within the topic when all before it is in the lake, and goes on when that is accepted", async () => {
  const place = await newTopic(12);
  deleteMessages(place, "offset in (2, 3)");
  await assert.rejects(runEtl(url(place), place.lake), {
    name: "LakeError",
    message: /partition 0: offsets 2 to before 4 are missing within it; .*"jobs run etl --accept-gap 0:2-4"/,
  });
  assert.deepEqual(await ask(place.lake, "select max(src_offset)::integer as last from flow where src_partition = 0"), [{ last: 1 }]);
  await runEtl(url(place), place.lake, accepting(2n, 4n));
  assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 10 * MESSAGE_ROWS, places: 10 * MESSAGE_ROWS }]);
});

Deno.test("runEtl() accepts no gap that holds a message", async () => {
  const place = await newTopic(2);
  await runEtl(url(place), place.lake);
  await publishFlows(place.topic, 8, 50);
  deleteMessages(place, "offset < 3");
  await assert.rejects(runEtl(url(place), place.lake, accepting(1n, 4n)), { message: /Cannot accept gap 0:1-4 .*offset 3 is there/ });
  await assert.rejects(runEtl(url(place), place.lake, accepting(1n, 9n)), { message: /Cannot accept gap 0:1-9 .*ends before offset 5/ });
  await assert.rejects(runEtl(url(place), place.lake, accepting(1n, 2n)), { message: /--accept-gap 0:1-3/ });
});

Deno.test("runEtl() makes no lake of a folder that holds something else", async () => {
  const place = await newTopic(1);
  await Deno.writeTextFile(`${place.directory}/letter.txt`, "");
  await assert.rejects(runEtl(url(place), place.directory), {
    name: "LakeError",
    message: /the folder holds ".*" and no table; name a folder that is empty, or a lake/,
  });
});

Deno.test("a query names the data file that was cut short", async () => {
  const place = await newTopic(1);
  await runEtl(url(place), place.lake);
  const [{ path } = { path: "" }] = (await readVersion(`${place.lake}/flow`, 0n)).flatMap(({ add }) => add ?? []);
  await Deno.truncate(`${place.lake}/flow/${path}`, 100);
  await assert.rejects(ask(place.lake, "from flow"), {
    name: "LakeError",
    message: /data file ".*" has 100 bytes, and \d+ when it was committed/,
  });
});

Deno.test("runEtl() takes up the cut of a run that was killed before its commit: the same messages, the same files", async () => {
  const place = await newTopic(4);
  await runEtl(url(place), place.lake);
  await publishFlows(place.topic, 2, 50);
  await runEtl(url(place), place.lake);
  const paths = async () => (await readVersion(`${place.lake}/flow`, 1n)).flatMap(({ add }) => add?.path ?? []);
  const before = await paths(), offsets = (await commitInfo(place, 1n)).operationParameters!["offsets"];
  await killBeforeCommit(place);
  await publishFlows(place.topic, 6, 90);
  assert.equal((await runEtl(url(place), place.lake)).commits, 2);
  assert.deepEqual(await paths(), before);
  assert.equal((await commitInfo(place, 1n)).operationParameters!["offsets"], offsets);
  assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 12 * MESSAGE_ROWS, places: 12 * MESSAGE_ROWS }]);
});

Deno.test("runEtl() keeps a message aside once, also where it was killed between the two tables, with another cut after", async () => {
  for (const losesCut of [false, true]) {
    const place = await newTopic(2);
    await publishBytes(place, new TextEncoder().encode("garbage"));
    await runEtl(url(place), place.lake);
    await killBeforeCommit(place);
    if (losesCut) { for (const { name } of Deno.readDirSync(`${place.lake}/_cuts`)) await Deno.remove(`${place.lake}/_cuts/${name}`); }
    await publishBytes(place, new TextEncoder().encode("more garbage"));
    await runEtl(url(place), place.lake);
    assert.deepEqual(await ask(place.lake, "select src_offset::integer as at, decode(value) as value from dead_letter order by all"), [
      { at: 1, value: "garbage" },
      { at: 2, value: "more garbage" },
    ]);
    assert.deepEqual(await ask(place.lake, PLACES), [{ rows: 2 * MESSAGE_ROWS, places: 2 * MESSAGE_ROWS }]);
  }
});

Deno.test("runEtl() sets aside what is of a newer version or has impossible values, and says why", async () => {
  const place = await newTopic(2), good = flowBatch(3, 1);
  const newer = encodeFlowBatch(good);
  newer[new TextDecoder("latin1").decode(newer).indexOf("\x01\0\0\x002\0") + 4] = 0x39; // a flatbuffers string: length, text, NUL
  await publishBytes(place, newer);
  good.columns.bytes_sent.values[1] = -5n;
  await publishBytes(place, encodeFlowBatch(good));
  assert.deepEqual([(await runEtl(url(place), place.lake)).rows, (await runEtl(url(place), place.lake)).rows], [2 * MESSAGE_ROWS, 0]);
  const reasons = await ask(place.lake, "select src_offset::integer as at, reason from dead_letter order by all");
  assert.match(String(reasons[0]!["reason"]), /schema version "9", needed "1" to "2"/);
  assert.match(String(reasons[1]!["reason"]), /"bytes_sent" row 1 has -5/);
  assert.equal(reasons.length, 2);
});

Deno.test("runEtl() sets aside a message with a damaged length, which the Arrow library would hang on, and goes on", async () => {
  const place = await newTopic(2);
  for (const at of [60, 4_932]) {
    const damaged = encodeFlowBatch(flowBatch(2_048, 1));
    new DataView(damaged.buffer).setUint32(at, 0x7fff_fff0, true);
    await publishBytes(place, damaged);
  }
  await publishFlows(place.topic, 2, 50);
  const { rows, deadLetters } = await runEtl(url(place), place.lake);
  assert.deepEqual([rows, deadLetters], [4 * MESSAGE_ROWS, 2]);
  const told = await ask(
    place.lake,
    "select bool_and(reason like 'Cannot decode Arrow stream: vector at bytes %') as told from dead_letter",
  );
  assert.deepEqual(told, [{ told: true }]);
});
