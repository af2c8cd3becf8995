/** The ETL job: every row of the topic is in the lake once, whatever happens on the way. */

import assert from "node:assert/strict";
import { decodeFlowBatch, encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { testWith } from "../tests/require.ts";
import { missingSmallDisk, SmallDisk } from "../tests/small_disk.ts";
import { runEtl } from "./etl.ts";
import { withLock } from "./lock.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "./testdata/topic.ts";

const url = ({ topic }: TestPlace) => topic.replace(/\?.*/, "");

/** Rows and sums of the topic itself, by our own decoder. */
async function topicTotals(place: TestPlace): Promise<{ readonly rows: number; readonly bytesSent: bigint; readonly ports: number }> {
  await using consumer = await openConsumer(url(place));
  let rows = 0, bytesSent = 0n, ports = 0;
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) {
      const { rowCount, columns } = decodeFlowBatch(value);
      rows += rowCount;
      bytesSent += columns.bytes_sent.values.reduce((sum, bytes) => sum + bytes, 0n);
      ports += columns.client_ports.offsets[rowCount]!;
    }
  }
  return { rows, bytesSent, ports };
}

async function lakeTotals(
  place: TestPlace,
): Promise<{ readonly rows: number; readonly bytesSent: bigint; readonly ports: number; readonly distinct: number }> {
  const [row] = await ask(
    place.lake,
    "select count(*) as rows, sum(bytes_sent)::bigint as bytes, sum(len(client_ports))::bigint as ports, count(distinct (src_partition, src_offset, src_index)) as places from flow",
  );
  return {
    rows: Number(row!["rows"]),
    bytesSent: BigInt(String(row!["bytes"])),
    ports: Number(row!["ports"]),
    distinct: Number(row!["places"]),
  };
}

async function assertExact(place: TestPlace): Promise<void> {
  const expected = await topicTotals(place);
  assert.deepEqual(await lakeTotals(place), { ...expected, distinct: expected.rows });
}

Deno.test("runEtl() moves every row once, over several runs", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 6, 1);
  assert.deepEqual(await runEtl(url(place), place.lake), { rows: 6 * MESSAGE_ROWS, commits: 1, deadLetters: 0, version: 0n });
  await publishFlows(place.topic, 3, 100);
  assert.equal((await runEtl(url(place), place.lake)).rows, 3 * MESSAGE_ROWS);
  assert.deepEqual(await runEtl(url(place), place.lake), { rows: 0, commits: 0, deadLetters: 0, version: 1n });
  await assertExact(place);
});

Deno.test("runEtl() keeps every value: texts, nulls, addresses, lists, times", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 1, 7);
  await runEtl(url(place), place.lake);
  await using consumer = await openConsumer(url(place));
  const { columns } = decodeFlowBatch((await consumer.read(0, 0n, 1 << 30))[0]!.value);
  const rows = await ask(
    place.lake,
    "select *, hex(client_ip) as client_hex, epoch_us(window_start) as start_us, strftime(window_start, '%Y-%m-%d/%-H') as start_hour from flow order by src_index",
  );
  for (const [i, row] of rows.entries()) {
    const text = columns.process_command_line;
    assert.equal(row["process_command_line"], text.codes[i]! < 0 ? null : text.dictionary[text.codes[i]!]);
    assert.equal(row["srtt_us_min"], columns.srtt_us_min.valid![i] === 0 ? null : columns.srtt_us_min.values[i]);
    assert.equal(String(row["client_hex"]).toLowerCase(), columns.client_ip.bytes.subarray(16 * i, 16 * i + 16).toHex());
    assert.equal(BigInt(String(row["start_us"])), columns.window_start.values[i]);
    assert.deepEqual(row["client_ports"], [
      ...columns.client_ports.values.subarray(columns.client_ports.offsets[i]!, columns.client_ports.offsets[i + 1]!),
    ]);
    assert.equal(row["network_type"], String(row["client_address"]).includes(":") ? "ipv6" : "ipv4");
    assert.equal(`${row["date"]}/${row["hour"]}`, row["start_hour"]);
  }
});

Deno.test("runEtl() sets a message that does not decode aside, with its offset and reason, and goes on", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 2, 1);
  {
    await using producer = await openProducer(place.topic);
    await producer.publish([{ partition: 1, value: new TextEncoder().encode("garbage") }]);
  }
  await publishFlows(place.topic, 2, 50);
  const { rows, deadLetters } = await runEtl(url(place), place.lake);
  assert.deepEqual([rows, deadLetters], [4 * MESSAGE_ROWS, 1]);
  assert.deepEqual(
    await ask(
      place.lake,
      "select src_partition, src_offset::integer as src_offset, decode(value) as value, reason like 'Cannot decode Arrow stream: %' as told from dead_letter",
    ),
    [{ src_partition: 1, src_offset: 1, value: "garbage", told: true }],
  );
});

Deno.test("runEtl() makes the table of a topic without a message, once", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 0, 1);
  assert.deepEqual(await runEtl(url(place), place.lake), { rows: 0, commits: 1, deadLetters: 0, version: 0n });
  assert.deepEqual(await runEtl(url(place), place.lake), { rows: 0, commits: 0, deadLetters: 0, version: 0n });
  assert.deepEqual(await ask(place.lake, "select count(*)::integer as rows, max(len(client_ports)) as ports from flow"), [
    { rows: 0, ports: null },
  ]);
});

Deno.test("runEtl() stores texts that hold a NUL, a quote or nothing", async () => {
  const place = await newPlace();
  const batch = flowBatch(3, 1);
  const names = { codes: Int32Array.of(0, 1, 2), dictionary: ["a\0b", "it's", ""] };
  await using producer = await openProducer(place.topic);
  await producer.publish([{
    partition: 0,
    value: encodeFlowBatch({ ...batch, columns: { ...batch.columns, observer_host_name: names } }),
  }]);
  await runEtl(url(place), place.lake);
  const rows = await ask(place.lake, "select observer_host_name as name from flow order by src_index");
  assert.deepEqual(rows.map(({ name }) => name), ["a\ufffdb", "it's", ""]);
});

Deno.test("runEtl() does nothing while another run holds the lock", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 1, 1);
  await runEtl(url(place), place.lake);
  await publishFlows(place.topic, 1, 2);
  const [lock] = [...Deno.readDirSync(`${place.lake}/_locks`)];
  const result = await withLock(`${place.lake}/_locks/${lock!.name}`, () => runEtl(url(place), place.lake));
  assert.deepEqual(result, { rows: 0, commits: 0, deadLetters: 0, version: null });
});

Deno.test("runEtl() refuses to go on with a topic that was cut", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 4, 1);
  await runEtl(url(place), place.lake);
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(`${place.directory}/topic.db`);
  database.exec("delete from message where partition = 0 and offset > 0");
  database.close();
  await assert.rejects(runEtl(url(place), place.lake), {
    name: "LakeError",
    message: /partition 0: the lake has it up to offset 2, the topic has 0 to before 1; the topic was cut/,
  });
});

Deno.test("a query names the data file that is missing", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 1, 1);
  await runEtl(url(place), place.lake);
  const [file] = await ask(
    place.lake,
    "select distinct filename from read_parquet('" + place.lake + "/flow/date=*/*/*.parquet', filename = true)",
  );
  await Deno.remove(String(file!["filename"]));
  await assert.rejects(ask(place.lake, "from flow"), {
    name: "LakeError",
    message: /data file ".*parquet" is named by the log, but missing/,
  });
});

Deno.test("a folder that is no lake is refused, with the command that makes one", async () => {
  await assert.rejects(ask("/nowhere", "from flow"), {
    name: "LakeError",
    message: /there is no table in it; make one with "jobs run etl/,
  });
});

/** Runs the job in a process that is killed after so long, unless it has ended by then. */
async function runEtlAndKill(place: TestPlace, afterMs: number): Promise<void> {
  const main = new URL("main.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--no-check", main, "run", "etl", "--topic", url(place), "--lake", place.lake];
  // Not timeout(1): it kills itself too, and its child may hold the lock a little longer.
  const job = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
  const killed = setTimeout(() => job.kill("SIGKILL"), afterMs);
  await job.status;
  clearTimeout(killed);
}

Deno.test("a run that is killed at any moment loses and doubles nothing", async () => {
  const place = await newPlace();
  await publishFlows(place.topic, 4, 1);
  for (let i = 0; i < 12; i++) {
    await publishFlows(place.topic, 4, 1_000 * i);
    await runEtlAndKill(place, 150 + 60 * i);
  }
  // The last one that was killed may take a moment to let go of the lock.
  while ((await runEtl(url(place), place.lake)).version === null) await new Promise((resolve) => setTimeout(resolve, 50));
  await assertExact(place);
});

testWith(await missingSmallDisk(), "a full disk is said so, and nothing that was stored is lost", async () => {
  await using disk = await SmallDisk.mount(4 << 20);
  const place = { ...await newPlace(), lake: disk.path };
  await publishFlows(place.topic, 4, 1);
  await runEtl(url(place), place.lake);
  await publishFlows(place.topic, 4, 90);
  const free = await disk.fill();
  await assert.rejects(runEtl(url(place), place.lake), {
    name: "LakeError",
    message: /the disk is full; free some space, nothing that was stored is lost/,
  });
  assert.equal((await lakeTotals(place)).rows, 4 * MESSAGE_ROWS);
  await free();
  await runEtl(url(place), place.lake);
  await assertExact(place);
});
