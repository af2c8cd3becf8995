/** Hours and days of service edges are the sums of their minutes, exactly, whenever those came. */

import assert from "node:assert/strict";
import { EDGE_COLUMNS, HISTOGRAM_BUCKETS } from "../lib/edge_columns.ts";
import { randomNumbers, START_US } from "../lib/testdata/flow_batch.ts";
import { runCompact } from "./compact.ts";
import { sourceApplication } from "./compact/roll_up.ts";
import { Database } from "./duckdb.ts";
import { append } from "./lake/append.ts";
import { writeDataFile } from "./lake/data_file.ts";
import type { AddFile } from "./lake/delta_log.ts";
import { prepareLake } from "./lake/prepare.ts";
import { readTable, type TableDefinition, tableDirectory } from "./lake/table.ts";
import { EDGE_1D, EDGE_1H, EDGE_1M } from "./lake/tables.ts";
import { repairLake } from "./repair/repair.ts";
import { ask } from "./testdata/topic.ts";

const NOTHING = new Map<string, number>();
const MINUTE_US = 60_000_000;

async function openDatabase(): Promise<Database> {
  return await Database.open({ memoryLimit: "512MB", temporaryDirectory: await Deno.makeTempDir() });
}

async function newLake(): Promise<string> {
  const lake = `${await Deno.makeTempDir()}/lake`;
  await prepareLake(lake);
  return lake;
}

let commits = 0;

/** Commits rows of some edges in each of the minutes after the start; values vary, some are negative or null. */
async function appendMinutes(
  lake: string,
  minutes: readonly number[],
  values: Readonly<Record<string, string>> = {},
): Promise<void> {
  using database = await openDatabase();
  const directory = tableDirectory(lake, EDGE_1M), random = randomNumbers(++commits);
  const byHour = Map.groupBy(minutes, (minute) => new Date((START_US + minute * MINUTE_US) / 1_000).toISOString().slice(0, 13));
  const adds: AddFile[] = [];
  for (const [hour, ofHour] of byHour) {
    const rows = ofHour.flatMap((minute) => [0, 1, 2].map((edge) => `select ${edgeRow(minute, edge, random, values)}`));
    adds.push(
      await writeDataFile(database, directory, EDGE_1M, {
        select: rows.join(" union all "),
        name: `part-${commits}`,
        partition: { date: hour.slice(0, 10), hour: String(Number(hour.slice(11))) },
        tags: {},
      }),
    );
  }
  const snapshot = await readTable(directory, EDGE_1M, database);
  await append(directory, EDGE_1M, snapshot, { operation: "STREAMING UPDATE", parameters: {}, adds, transactions: new Map() }, database);
}

function edgeRow(
  minute: number,
  edge: number,
  random: (below: number) => number,
  values: Readonly<Record<string, string>>,
): string {
  return EDGE_COLUMNS.map(({ name, type, nullable }): string => {
    if (values[name] !== undefined) return `${values[name]}::${type} as ${name}`;
    if (name === "window_start") return `time_bucket(interval 1 minute, make_timestamptz(${START_US + minute * MINUTE_US})) as ${name}`;
    if (nullable && random(3) === 0) return `null::${type} as ${name}`;
    if (type === "VARCHAR") return `'${name} ${edge}' as ${name}`;
    if (name === "server_port") return `${edge} as ${name}`;
    if (type === "BIGINT[]") return `[${Array.from({ length: HISTOGRAM_BUCKETS }, () => random(9) - 1)}]::bigint[] as ${name}`;
    return `(${random(2 ** 31) - 2 ** 29})::${type} as ${name}`;
  }).join(", ");
}

/** What a roll-up must hold, by another SQL: of the histogram place by place, and all else column by column. */
async function assertSums(lake: string, { name: target }: TableDefinition, unit: string): Promise<void> {
  const keys = EDGE_COLUMNS.filter(({ merge }) => merge === "key").map(({ name }) => name).join(", ");
  const plain = EDGE_COLUMNS.filter(({ merge }) => merge === "sum" || merge === "min" || merge === "max");
  const values = plain.map(({ name, merge, type }) => `${merge}(${name})::${type} as ${name}`).join(", ");
  const at = `date_trunc('${unit}', window_start) as window_start`, order = "order by all";
  assert.deepEqual(
    await ask(lake, `select window_start, ${keys}, ${plain.map(({ name }) => name).join(", ")} from ${target} ${order}`),
    await ask(lake, `select ${at}, ${keys}, ${values} from edge_1m group by 1, ${keys} ${order}`),
  );
  const places = (from: string, at: string) =>
    ask(
      lake,
      `select ${at}, ${keys}, place, sum(samples)::bigint as samples from (select *, unnest(srtt_us_histogram) as samples,
        generate_subscripts(srtt_us_histogram, 1) as place from ${from}) group by all ${order}`,
    );
  assert.deepEqual(await places(target, "window_start"), await places("edge_1m", at));
}

async function assertRolledUp(lake: string): Promise<void> {
  await assertSums(lake, EDGE_1H, "hour");
  await assertSums(lake, EDGE_1D, "day");
}

Deno.test("hours and days are the sums of the minutes, also of those that come late, and each commit names its source", async () => {
  const lake = await newLake();
  await appendMinutes(lake, [0, 1, 70, 130, 1_500]);
  await runCompact(lake, NOTHING);
  await assertRolledUp(lake);
  await appendMinutes(lake, [2, 70, 3_000]);
  await appendMinutes(lake, [0]);
  await runCompact(lake, NOTHING);
  await assertRolledUp(lake);
  using database = await openDatabase();
  const hours = await readTable(tableDirectory(lake, EDGE_1H), EDGE_1H, database);
  const minutes = await readTable(tableDirectory(lake, EDGE_1M), EDGE_1M, database);
  const log = await Deno.readTextFile(`${tableDirectory(lake, EDGE_1H)}/_delta_log/${String(hours.version).padStart(20, "0")}.json`);
  const { commitInfo: { operationParameters } } = JSON.parse(log.split("\n")[0]!);
  assert.deepEqual(operationParameters, { source: "edge_1m", sourceVersion: String(hours.transactions.get(sourceApplication(minutes))) });
});

Deno.test("an amount that no host can have counted does not stop the roll-up", async () => {
  const lake = await newLake();
  for (let i = 0; i < 2; i++) await appendMinutes(lake, [0], { bytes_sent: "9223372036854775807" });
  await runCompact(lake, NOTHING);
  assert.deepEqual(await ask(lake, "select distinct bytes_sent from edge_1d"), [{ bytes_sent: "9223372036854775807" }]);
});

Deno.test("days of minutes that were made anew are added up anew", async () => {
  const lake = await newLake();
  await appendMinutes(lake, [0, 1, 70]);
  await appendMinutes(lake, [2]);
  await runCompact(lake, NOTHING);
  await Deno.remove(tableDirectory(lake, EDGE_1M), { recursive: true });
  await prepareLake(lake);
  await appendMinutes(lake, [0, 70, 1_500]);
  await runCompact(lake, NOTHING);
  await assertRolledUp(lake);
});

Deno.test("a run without new minutes changes nothing, nor does one after minutes were only compacted", async () => {
  const lake = await newLake();
  await appendMinutes(lake, [0, 1]);
  await appendMinutes(lake, [1, 2]);
  await runCompact(lake, NOTHING);
  await runCompact(lake, NOTHING);
  await assertRolledUp(lake);
  using database = await openDatabase();
  const { version } = await readTable(tableDirectory(lake, EDGE_1H), EDGE_1H, database);
  assert.equal((await runCompact(lake, NOTHING))!.rolledDays, 0);
  assert.equal((await readTable(tableDirectory(lake, EDGE_1H), EDGE_1H, database)).version, version);
});

Deno.test("minutes that come after their hour was dropped are added to its sums, and dropped in turn", async () => {
  const lake = await newLake(), total = "select sum(bytes_sent)::bigint as bytes from";
  const [bytes] = await (async () => {
    await appendMinutes(lake, [0, 1, 5 * 1_440]);
    return await ask(lake, `${total} edge_1m`);
  })();
  await runCompact(lake, new Map([["edge_1m", 2]]));
  assert.deepEqual(await ask(lake, "select count(distinct window_start)::integer as minutes from edge_1m"), [{ minutes: 1 }]);
  assert.deepEqual([await ask(lake, `${total} edge_1h`), await ask(lake, `${total} edge_1d`)], [[bytes], [bytes]]);
  await appendMinutes(lake, [2]);
  const [late] = await ask(lake, `${total} edge_1m where date = '2026-01-02'`);
  await runCompact(lake, new Map([["edge_1m", 2]]));
  const both = [{ bytes: String(BigInt(String(bytes!["bytes"])) + BigInt(String(late!["bytes"]))) }];
  assert.deepEqual([await ask(lake, `${total} edge_1h`), await ask(lake, `${total} edge_1d`)], [both, both]);
  assert.deepEqual(await ask(lake, "select count(distinct window_start)::integer as minutes from edge_1m"), [{ minutes: 1 }]);
});

Deno.test("sums of which a file is missing are not added to: the error names the file and what makes it again", async () => {
  const lake = await newLake();
  await appendMinutes(lake, [0, 1]);
  await runCompact(lake, NOTHING);
  await appendMinutes(lake, [2]);
  using database = await openDatabase();
  const hours = async () => await readTable(tableDirectory(lake, EDGE_1H), EDGE_1H, database);
  const { version, files } = await hours();
  await Deno.remove(`${tableDirectory(lake, EDGE_1H)}/${[...files.keys()][0]}`);
  await assert.rejects(runCompact(lake, NOTHING), {
    name: "LakeError",
    message: /edge_1h.* is named by the log, but missing; .*"jobs repair --lake /,
  });
  assert.equal((await hours()).version, version);
  await repairLake(lake, { topicUrl: null, acceptedLosses: [] });
  await runCompact(lake, NOTHING);
  await assertRolledUp(lake);
});

Deno.test("more edges than memory takes at once are added up in parts", async () => {
  const lake = await newLake(), directory = tableDirectory(lake, EDGE_1M), edges = 60_000;
  for (const [commit, hour] of [3, 4, 3].entries()) {
    using database = await openDatabase();
    const values = EDGE_COLUMNS.map(({ name, type }) => {
      if (name === "window_start") return `timestamptz '2026-01-02 0${hour}:00:00+00' + minute * interval 1 minute as ${name}`;
      if (type === "VARCHAR") return `'${name} ' || edge as ${name}`;
      if (type === "BIGINT[]") return `[edge + i for i in range(${HISTOGRAM_BUCKETS})]::bigint[] as ${name}`;
      return `${name === "server_port" ? "edge" : "(edge * 31 + minute)"}::${type} as ${name}`;
    });
    const select = `select ${values.join(", ")} from range(${edges}) edges(edge), range(${commit}, ${commit + 1}) minutes(minute)`;
    const file = { select, name: `part-${commit}`, partition: { date: "2026-01-02", hour: String(hour) }, tags: {} };
    const adds = [await writeDataFile(database, directory, EDGE_1M, file)], snapshot = await readTable(directory, EDGE_1M, database);
    await append(directory, EDGE_1M, snapshot, { operation: "STREAMING UPDATE", parameters: {}, adds, transactions: new Map() }, database);
    await runCompact(lake, NOTHING);
  }
  const sums = (from: string, at: string) =>
    `select ${at} as at, server_port, sum(bytes_sent)::bigint as bytes, sum(srtt_us_histogram[32])::bigint as last, min(srtt_us_min) as least from ${from} group by all`;
  for (const [table, unit] of [["edge_1h", "hour"], ["edge_1d", "day"]] as const) {
    const [found, needed] = [sums(table, "window_start"), sums("edge_1m", `date_trunc('${unit}', window_start)`)];
    assert.deepEqual(await ask(lake, `(${found} except all ${needed}) union all (${needed} except all ${found})`), []);
    assert.deepEqual(await ask(lake, `select count(*)::integer as rows from ${table}`), [{ rows: unit === "day" ? edges : 2 * edges }]);
  }
});
