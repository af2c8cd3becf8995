/** The table `edge_1m`, compared with what SQL finds in `flow`, an hour at a time. */

import { EDGE_COLUMNS } from "../../lib/edge_columns.ts";
import { parseRevisions, REVISIONS_PARAMETER } from "../dependencies/revisions.ts";
import type { Database } from "../duckdb.ts";
import { listLog, readVersionIfPresent } from "../lake/delta_log.ts";
import { tableDirectory } from "../lake/table.ts";
import { EDGE_1M } from "../lake/tables.ts";
import { sqlText } from "../sql_text.ts";
import type { Progress } from "./content.ts";
import { type Check, placeOf, type Problem } from "./finding.ts";
import { hourOf } from "./history.ts";

const REFERENCE = new URL("../dependencies.sql", import.meta.url);
/** Problems of an hour that are named; the others are counted. */
const NAMED_MAX = 5;

const RANGE = "src_topic, src_partition, window_start, src_offset_from, src_offset_to";
/** Rows of one insert statement, about. */
const REVISIONS_AT_ONCE = 10_000;

interface Hour {
  readonly date: string;
  readonly hour: number;
}

/**
 * @param database With the views `all_flow` and `all_edge_1m` of the tables, and the table `landed` (topic, partition, after): the
 *   offset before which `flow` has everything. It makes views `flow` and `edge_1m` of single hours.
 * @param droppedHours Hours since 1970 of which `flow` has not all rows any more.
 */
export async function checkEdges(
  database: Database,
  lake: string,
  droppedHours: ReadonlySet<number>,
  progress: Progress,
): Promise<Check> {
  const reference = await Deno.readTextFile(REFERENCE);
  await createRevisions(database, lake);
  const hours = await hoursOf(database, "all_edge_1m"), kept = new Set((await hoursOf(database, "all_flow")).map(nameOf));
  const compared = hours.filter((hour) => kept.has(nameOf(hour)) && !droppedHours.has(hourOf({ ...hour, hour: String(hour.hour) })));
  const problems: Problem[] = [];
  let edges = 0;
  for (const [i, hour] of compared.entries()) {
    await restrict(database, hour);
    const [counts] = await database.rows("select count(*) as edges from edge_1m");
    edges += Number(counts!["edges"]);
    problems.push(...await differences(database, reference, hour, lake), ...await untold(database, lake));
    progress(i + 1, compared.length);
  }
  const gone = hours.length - compared.length;
  return {
    name: "edge_1m found again in flow",
    examined: `${edges} edges of ${compared.length} hours${gone === 0 ? "" : `; ${gone} more whose rows are no longer kept`}`,
    problems,
  };
}

/** The table `told_revision`: those that commits tell, among them such in which nothing changed, so that no row is of them. */
async function createRevisions(database: Database, lake: string): Promise<void> {
  await database.run(`create or replace table told_revision (src_topic varchar, src_partition integer, window_start timestamptz,
    src_offset_from bigint, src_offset_to bigint)`);
  const directory = tableDirectory(lake, EDGE_1M);
  let values: string[] = [];
  const insert = async () => {
    if (values.length > 0) await database.run(`insert into told_revision values ${values.join(", ")}`);
    values = [];
  };
  for (const version of listLog(directory).versions) {
    const actions = await readVersionIfPresent(directory, version) ?? []; // its time was over meanwhile
    const parameters = actions.find(({ commitInfo }) => commitInfo)?.commitInfo?.operationParameters;
    for (const { topicName, partition, startUs, offsetFrom, offsetTo } of parseRevisions(parameters?.[REVISIONS_PARAMETER]) ?? []) {
      values.push(`(${sqlText(topicName)}, ${partition}, make_timestamptz(${startUs}), ${offsetFrom}, ${offsetTo})`);
    }
    if (values.length >= REVISIONS_AT_ONCE) await insert();
  }
  await insert();
}

async function hoursOf(database: Database, view: string): Promise<Hour[]> {
  const rows = await database.rows(`select distinct strftime(date, '%Y-%m-%d') as date, hour from ${view} order by all`);
  return rows.map(({ date, hour }) => ({ date: String(date), hour: Number(hour) }));
}

function nameOf({ date, hour }: Hour): string {
  return `${date} ${String(hour).padStart(2, "0")}:00`;
}

/** Edges whose rows `flow` does not have yet are left out. */
async function restrict(database: Database, { date, hour }: Hour): Promise<void> {
  const ofHour = `date = date '${date}' and hour = ${hour}`;
  await database.run(`create or replace view flow as select * from all_flow where ${ofHour}`);
  await database.run(`create or replace view edge_1m as select e.* from all_edge_1m e
    join landed l on e.src_topic = l.topic and e.src_partition = l.partition and e.src_offset_to <= l.after where ${ofHour}`);
}

async function differences(database: Database, reference: string, hour: Hour, lake: string): Promise<Problem[]> {
  const columns = EDGE_COLUMNS.map(({ name }) => name).filter((name) => name !== "schema_version").join(", ");
  await database.run(`create or replace temp table expected as ${reference}`);
  const rows = await database.rows(`
    select *, count(*) over () as found from (
      select 'holds what flow does not tell' as what, * from (select ${columns} from edge_1m except all select ${columns} from expected)
      union all
      select 'lacks what flow tells' as what, * from (select ${columns} from expected except all select ${columns} from edge_1m)
    ) order by window_start, src_topic, src_partition, src_offset_from, what limit ${NAMED_MAX}`);
  const repair =
    `jobs audit --lake ${lake} says whether flow itself is as it must be; if so, remove ${lake}/edge_1m and run the job dependencies again`;
  const problems = rows.map((row): Problem => ({
    where: `minute ${String(row["window_start"]).slice(0, 16)} ${
      placeOf(
        String(row["src_topic"]),
        Number(row["src_partition"]),
        BigInt(String(row["src_offset_from"])),
        BigInt(String(row["src_offset_to"])),
      )
    }`,
    what: `${row["what"]}: edge from "${row["client_service_name"]}${row["client_address"]}" to "${row["server_service_name"]}${
      row["server_address"]
    }" port ${row["server_port"]}`,
    repair,
  }));
  const rest = Number(rows[0]?.["found"] ?? 0) - rows.length;
  if (rest > 0) problems.push({ where: `hour ${nameOf(hour)}`, what: `${rest} more`, repair });
  return problems;
}

/** Rows of minutes that are closed, and that are not in exactly one range of the minute. */
async function untold(database: Database, lake: string): Promise<Problem[]> {
  const rows = await database.rows(`
    with ranges as (
      select src_topic, src_partition, window_start, src_offset_from, max(src_offset_to) as src_offset_to
      from (select ${RANGE} from edge_1m union all select ${RANGE} from told_revision) group by all
    ),
    known as (
      select src_topic, src_partition, max(src_offset_to) as after, max(window_start) filter (revision = 0) as newest from all_edge_1m group by all
    ),
    told as (
      select f.src_topic, f.src_partition, f.src_offset, f.src_index, count(r.src_offset_to) as ranges
      from flow f join known k on f.src_topic = k.src_topic and f.src_partition = k.src_partition and f.src_offset < k.after
          and f.window_start < k.newest
        join landed l on f.src_topic = l.topic and f.src_partition = l.partition and k.after <= l.after
        left join ranges r on r.src_topic = f.src_topic and r.src_partition = f.src_partition
          and r.window_start = date_trunc('minute', f.window_start) and f.src_offset >= r.src_offset_from and f.src_offset < r.src_offset_to
      group by all having ranges <> 1
    )
    select src_topic, src_partition, min(src_offset) as first, max(src_offset) + 1 as after, count(*) as rows, max(ranges) as ranges
    from told group by all order by all`);
  return rows.map((row) => ({
    where: placeOf(String(row["src_topic"]), Number(row["src_partition"]), BigInt(String(row["first"])), BigInt(String(row["after"]))),
    what: `${row["rows"]} rows of closed minutes are in up to ${row["ranges"]} revisions, needed one each`,
    repair: `remove ${lake}/edge_1m and run the job dependencies again`,
  }));
}
