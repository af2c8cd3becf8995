/** The checksum of rows: SQL over the lake and the Arrow library over the topic find the same, and any change of a row another. */

import assert from "node:assert/strict";
import { openConsumer } from "../lib/topic/open.ts";
import { messageContent } from "./audit/message_checksum.ts";
import { runEtl } from "./etl.ts";
import { CHECKSUM_COLUMNS, CHECKSUM_SQL } from "./row_checksum.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace, version1Place } from "./testdata/topic.ts";

async function landed(): Promise<TestPlace> {
  const place = await newPlace();
  await publishFlows(place.topic, 4, 1);
  const topic = place.topic.replace(/\?.*/, "");
  await runEtl(topic, place.lake);
  return { ...place, topic };
}

async function lakeChecksum(lake: string, rows = "from flow"): Promise<bigint> {
  const [row] = await ask(lake, `select (${CHECKSUM_SQL})::varchar as checksum ${rows}`);
  return BigInt(String(row!["checksum"]));
}

async function topicContent(url: string): Promise<{ readonly rows: number; readonly checksum: bigint }> {
  await using consumer = await openConsumer(url);
  let rows = 0, checksum = 0n;
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const message of await consumer.read(partition, 0n, 1 << 30)) {
      const content = messageContent(message, message.value, { hours: new Set(), days: new Set() });
      assert(content !== null);
      rows += content.rows;
      checksum = BigInt.asUintN(64, checksum + content.checksum);
    }
  }
  return { rows, checksum };
}

Deno.test("the topic's rows have the lake's checksum", async () => {
  const { topic, lake } = await landed();
  assert.deepEqual(await topicContent(topic), { rows: 4 * MESSAGE_ROWS, checksum: await lakeChecksum(lake) });
});

Deno.test("a topic of version 1 has the checksum of the lake that is made of it, and null or filled the newer columns count for nothing", async () => {
  const { topic, lake } = await version1Place();
  await Deno.remove(lake, { recursive: true });
  await runEtl(topic, lake);
  const { checksum } = await topicContent(topic);
  assert.equal(checksum, await lakeChecksum(lake));
  assert.equal(checksum, await lakeChecksum(lake, "from (select * replace (null as reporter, null as late_count) from flow)"));
});

Deno.test("rows have one checksum in any order, and none have 0", async () => {
  const { lake } = await landed();
  assert.equal(await lakeChecksum(lake, "from (from flow order by client_ip, src_index desc)"), await lakeChecksum(lake));
  assert.equal(await lakeChecksum(lake, "from flow where false"), 0n);
});

Deno.test("the checksum changes with every column of a single row", async () => {
  const { lake } = await landed();
  const changed = (name: string, type: string) => {
    const value = {
      "VARCHAR": `coalesce(${name}, '') || 'x'`,
      "BLOB": "unhex('00000000000000000000000000000001')",
      "TIMESTAMPTZ": `${name} + interval 1 microsecond`,
      "INTEGER[]": `list_append(${name}, 1)`,
    }[type];
    return value ?? `coalesce(${name}, 0) + 1`;
  };
  const one = "from flow where src_partition = 0 and src_offset = 0 and src_index = 7";
  const whole = await lakeChecksum(lake, one);
  for (const { name, type } of CHECKSUM_COLUMNS) {
    assert.notEqual(await lakeChecksum(lake, `from (select * replace (${changed(name, type)} as ${name}) ${one})`), whole, name);
  }
});

Deno.test("messageContent() gives nothing of a message that is no batch of rows", () => {
  assert.equal(
    messageContent({ partition: 0, offset: 0n }, new TextEncoder().encode("garbage"), { hours: new Set(), days: new Set() }),
    null,
  );
});
