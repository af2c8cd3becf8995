/** The stage: rows of any shape are in the file of their hour as their message had them. */

import assert from "node:assert/strict";
import { encodedDictionary } from "../lib/arrow_columns.ts";
import { decodeFlowBatch, encodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { Database, type Row } from "./duckdb.ts";
import { Stage, type StagedFile, StageTables } from "./stage.ts";
import { TextTable } from "./text_table.ts";

const HOUR_US = 3_600_000_000n;
const PROVENANCE = { topicName: "a topic's", ingestTime: "2026-01-02T03:04:05.678Z" };

/** What a file holds, by SQL. */
async function readBack({ parts }: StagedFile, sql: string): Promise<readonly Row[]> {
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(path, new Blob(parts.map((part) => part.slice())).stream());
    using database = await Database.open({ memoryLimit: "1GB", temporaryDirectory: "/tmp" });
    return await database.rows(sql.replace("file", `read_parquet('${path}')`));
  } finally {
    await Deno.remove(path);
  }
}

function stageOf(...batches: readonly FlowBatch[]): Stage {
  const stage = new Stage(new StageTables());
  batches.forEach((batch, i) => stage.add({ partition: 3, offset: BigInt(40 + i), value: encodeFlowBatch(batch) }));
  assert.deepEqual(stage.deadLetters, []);
  return stage;
}

Deno.test("Stage: a message's rows go to the files of their hours, each with all its values", async () => {
  const batch = flowBatch(300, 1), { window_start, window_end } = batch.columns;
  const shift = (values: BigInt64Array) => values.map((value, i) => value + BigInt(i % 3) * HOUR_US);
  const spread = {
    ...batch.columns,
    window_start: { values: shift(window_start.values) },
    window_end: { values: shift(window_end.values) },
  };
  const files = [...stageOf({ rowCount: 300, columns: spread }).files(PROVENANCE)];
  assert.deepEqual(files.map(({ partition, stats }) => [partition.hour, stats.numRecords]), [[3, 100], [4, 100], [5, 100]]);
  const { process_command_line: text, client_ports: ports, srtt_us_min: nullable, client_ip: address, bytes_sent } = batch.columns;
  for (const [hour, file] of files.entries()) {
    const rows = await readBack(
      file,
      "select src_partition, src_offset, src_index, src_topic, process_command_line, client_ports, srtt_us_min, lower(hex(client_ip)) as ip, bytes_sent, epoch_us(ingest_time) as us from file",
    );
    for (const [i, row] of rows.entries()) {
      const index = 3 * i + hour, code = text.codes[index]!;
      assert.deepEqual(row, {
        src_partition: 3,
        src_offset: "40",
        src_index: index,
        src_topic: "a topic's",
        process_command_line: code < 0 ? null : text.dictionary[code],
        client_ports: [...ports.values.subarray(ports.offsets[index]!, ports.offsets[index + 1]!)],
        srtt_us_min: nullable.valid![index] === 0 ? null : nullable.values[index],
        ip: address.bytes.subarray(16 * index, 16 * index + 16).toHex(),
        bytes_sent: String(bytes_sent.values[index]),
        us: String(Date.parse(PROVENANCE.ingestTime) * 1_000),
      });
    }
  }
});

Deno.test("Stage: statistics of a file are those of its rows, over several row groups", async () => {
  const batches = Array.from({ length: 32 }, (_, i) => flowBatch(8_192, i)), [file] = [...stageOf(...batches).files(PROVENANCE)];
  const names = Object.keys(file!.stats.nullCount);
  const [found] = await readBack(
    file!,
    `select count(*) as n, ${
      names.map((name) => `min(${name}) as min_${name}, max(${name}) as max_${name}, count(*) - count(${name}) as nulls_${name}`).join(", ")
    } from file`,
  );
  assert.equal(file!.stats.numRecords, Number(found!["n"]));
  const isTime = (name: string) => typeof file!.stats.minValues[name] === "string";
  for (const name of names.filter((name) => !isTime(name))) {
    const stats = [file!.stats.minValues[name], file!.stats.maxValues[name], file!.stats.nullCount[name]];
    assert.deepEqual(stats, [found![`min_${name}`], found![`max_${name}`], found![`nulls_${name}`]].map(Number), name);
  }
  for (const name of names.filter(isTime)) {
    const [min, max] = [`min_${name}`, `max_${name}`].map((column) =>
      Date.parse(String(found![column]).replace(" ", "T").replace(/(\.\d{3})\d*/, "$1").replace("+00", "Z"))
    );
    assert.deepEqual(
      [Date.parse(String(file!.stats.minValues[name])), Date.parse(String(file!.stats.maxValues[name]))],
      [min, max! + 1],
      name,
    );
  }
});

Deno.test("Stage: lists that are all empty, and a column that is null in every row", async () => {
  const batch = flowBatch(10, 1), n = batch.rowCount;
  const columns = {
    ...batch.columns,
    client_ports: { offsets: new Int32Array(n + 1), values: new Int32Array(0) },
    client_service_name: { codes: new Int32Array(n).fill(-1), dictionary: [] },
    srtt_us_min: { values: new Int32Array(n), valid: new Uint8Array(n) },
  };
  const [file] = [...stageOf({ rowCount: n, columns }).files(PROVENANCE)];
  const rows = await readBack(file!, "select distinct client_ports, client_service_name, srtt_us_min from file");
  assert.deepEqual(rows, [{ client_ports: [], client_service_name: null, srtt_us_min: null }]);
  assert.equal(file!.stats.minValues["srtt_us_min"], undefined);
});

Deno.test("Stage: numbers of 64 bits that are small, wide, negative or null, in messages of one row group", async () => {
  const kinds = [[1n, 2n], [2n ** 40n, 3n], [-5n, 2n ** 62n + 1n], [7n, 8n]].map((pair) => BigInt64Array.from(pair));
  for (const chosen of [kinds.slice(0, 1), kinds.slice(0, 2), kinds]) {
    const batches = chosen.map((values, i) => {
      const batch = flowBatch(2, i), valid = i === 0 ? {} : { valid: Uint8Array.of(1, 0) };
      return { ...batch, columns: { ...batch.columns, process_network_namespace: { values, ...valid } } };
    });
    const [file] = [...stageOf(...batches).files(PROVENANCE)];
    const rows = await readBack(file!, "select process_network_namespace as n from file order by src_offset, src_index");
    assert.deepEqual(rows.map(({ n }) => n), chosen.flatMap((values, i) => [String(values[0]), i === 0 ? String(values[1]) : null]));
  }
});

Deno.test("Stage: what one stage leaves behind is not in the next one's rows", async () => {
  const tables = new StageTables(), sql = "select * exclude (src_offset) from file order by src_index";
  const fileOf = (stage: Stage, seed: number, rows: number) => {
    stage.add({ partition: 1, offset: BigInt(seed), value: encodeFlowBatch(flowBatch(rows, seed)) });
    return [...stage.files(PROVENANCE)][0]!;
  };
  for (const seed of [1, 2]) fileOf(new Stage(tables), seed, 500);
  assert.deepEqual(await readBack(fileOf(new Stage(tables), 3, 40), sql), await readBack(fileOf(new Stage(new StageTables()), 3, 40), sql));
});

Deno.test("Stage: a message whose texts end beyond its bytes is set aside", () => {
  const batch = flowBatch(4, 1), names = { codes: new Int32Array(4), dictionary: ["first", "the second"] };
  const value = encodeFlowBatch({ ...batch, columns: { ...batch.columns, observer_host_name: names } }),
    stage = new Stage(new StageTables());
  const offsets = new Uint8Array(Int32Array.of(0, 5, 15).buffer).toHex(), at = value.toHex().indexOf(offsets) / 2;
  new DataView(value.buffer, value.byteOffset).setInt32(at + 8, 0x7fff_fff0, true);
  stage.add({ partition: 0, offset: 0n, value });
  assert.match(stage.deadLetters[0]!.reason, /column "observer_host_name" value 1 ends at 2147483632 of/);
  assert.equal(stage.rowCount, 0);
});

Deno.test("TextTable: equal texts have equal numbers, whatever stands before them, and however many there are", () => {
  const table = new TextTable(), texts = Array.from({ length: 20_000 }, (_, i) => `${"x".repeat(i % 9)}${i}`);
  const encoded = (some: readonly string[]) => {
    const column = { codes: new Int32Array(0), dictionary: some };
    return encodedDictionary(column);
  };
  const first = table.numbersOf(encoded(texts), null);
  assert.equal(new Set(first).size, texts.length);
  assert.deepEqual(table.numbersOf(encoded(["?", ...texts]), null).slice(1), first);
  // A leader that says what came with it before, and one that is wrong about it.
  assert.deepEqual(table.numbersOf(encoded(texts), first), first);
  assert.deepEqual(table.numbersOf(encoded(texts.toReversed()), first), first.toReversed());
});

Deno.test("TextTable: what is no UTF-8 or has a NUL is written so that every reader takes it", () => {
  const bytes = Uint8Array.of(0x61, 0xff, 0x62, 0x61, 0, 0x62), table = new TextTable();
  const numbers = table.numbersOf({ offsets: Int32Array.of(0, 3, 6), bytes }, null);
  const page = table.dictionary([...numbers]), expected = new TextEncoder().encode("a\ufffdb");
  const entry = [expected.length, 0, 0, 0, ...expected];
  assert.deepEqual([...page], [...entry, ...entry]);
});

Deno.test("decodeFlowBatch() leaves texts as bytes that nobody looks at, and gives the same when somebody does", () => {
  const batch = flowBatch(50, 3), { observer_host_name: column } = decodeFlowBatch(encodeFlowBatch(batch)).columns;
  const { offsets, bytes } = encodedDictionary(column), decoder = new TextDecoder();
  const texts = column.dictionary.map((_, i) => decoder.decode(bytes.subarray(offsets[i]!, offsets[i + 1]!)));
  assert.deepEqual(texts, batch.columns.observer_host_name.dictionary);
  assert.deepEqual(column.dictionary, texts);
});
