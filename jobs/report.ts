/** Writes the report: one HTML file that opens without a network. */

import { analyse, analyseEach, ANALYSES } from "./analytics.ts";
import type { Analysis } from "./analytics/analysis.ts";
import { createView } from "./analytics/analysis.ts";
import { coverage } from "./coverage.ts";
import type { Database } from "./duckdb.ts";
import type { Hour } from "./lake/kept_hours.ts";
import { FLOW } from "./lake/tables.ts";
import type { Answer } from "./portable_sql.ts";
import { keptIn, type LakeSnapshots } from "./query.ts";
import type { Question } from "./question.ts";
import { groupings, zonesOf } from "./report/groupings.ts";
import { reportHtml } from "./report/html.ts";
import type { ReportData, ReportEdges, ReportTable } from "./report/report_data.ts";
import { coveredTime, traffic } from "./report/traffic.ts";
import { createZoneViews } from "./zones.ts";

const PAGE = new URL("report_page/", import.meta.url);
/** More would make a file that a browser opens slowly; it says how many it leaves out. */
const EDGES_MAX = 25_000;
const TABLE_ROWS_MAX = 1_000;

/** Answers that become tables of their own, besides the edges. */
const TABLES = ["talkers", "hubs", "capacity", "unmanaged", "zone-crossings", "link-failure"];
/** Of these, what the roll-up has enough for; of capacity that of services. */
const ROLLUP_TABLES = ["talkers", "hubs", "capacity"];

/** Text of the report on what the question is about; zones and a topology, where they are given, add what is asked of them. */
export async function makeReport(database: Database, snapshots: LakeSnapshots, question: Question): Promise<string> {
  const kept = keptIn(snapshots);
  const [graph, ...others] = tablesOf(question).map((name) => ANALYSES.find((analysis) => analysis.name === name)!);
  const [edgeAnswer, ...answers] = await analyseEach(database, [graph!, ...others], question, kept);
  const edges = edgeAnswer!, services = servicesOf(edges), reportEdges = edgesOf(edges, services);
  const time = await coveredTime(database);
  const data: ReportData = {
    ...time,
    coverage: await coverage(database, snapshots.get(FLOW.name)!),
    services,
    groupings: groupings(services, reportEdges, question.zones === null ? null : await readZones(database, question)),
    edges: reportEdges,
    edgesLeftOut: Math.max(0, edges.rows.length - EDGES_MAX),
    traffic: await traffic(database, time.fromMs, time.toMs),
    tables: [...others.map((analysis, i) => tableOf(analysis, answers[i]!)), ...await verdicts(database, question, kept)],
  };
  const [body, style, script] = await Promise.all(
    ["page.html", "page.css", "page.gen.js"].map((name) => Deno.readTextFile(new URL(name, PAGE))),
  );
  return await reportHtml(data, body!, style!, script!);
}

/** The graph first. */
function tablesOf({ zones, topology, rollup }: Question): string[] {
  const isAsked = (name: string) => name === "zone-crossings" ? zones !== null : name !== "link-failure" || topology !== null;
  return [
    "dependency-graph",
    ...rollup === null ? TABLES.filter(isAsked) : ROLLUP_TABLES.filter((name) => name !== "capacity" || topology === null),
  ];
}

/** Bottlenecks are found beside a past, which is no part of the other answers; the roll-up does not tell enough of them. */
async function verdicts(database: Database, question: Question, kept: readonly Hour[]): Promise<ReportTable[]> {
  if (question.rollup !== null) return [];
  const bottlenecks = ANALYSES.find(({ name }) => name === "bottlenecks")!;
  return [tableOf(bottlenecks, await analyse(database, bottlenecks, question, kept))];
}

async function readZones(database: Database, { zones, policy }: Question): Promise<ReadonlyMap<string, string>> {
  await createZoneViews(database, zones, policy);
  for (const view of ["address_zone", "zoned_conversation"]) await createView(database, view);
  return await zonesOf(database);
}

/** Services by their bytes. */
function servicesOf({ rows }: Answer): string[] {
  const bytes = new Map<string, number>();
  for (const row of rows) {
    for (const end of ["client_service", "server_service"]) {
      const service = String(row[end]);
      bytes.set(service, (bytes.get(service) ?? 0) + Number(row["tx_bytes"]) + Number(row["rx_bytes"]));
    }
  }
  return [...bytes].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([service]) => service);
}

function edgesOf({ rows }: Answer, services: readonly string[]): ReportEdges {
  const places = new Map(services.map((service, i) => [service, i]));
  const shown = rows.slice(0, EDGES_MAX), numbers = (name: string) => shown.map((row) => Number(row[name]));
  return {
    client: shown.map((row) => places.get(String(row["client_service"]))!),
    server: shown.map((row) => places.get(String(row["server_service"]))!),
    server_port: numbers("server_port"),
    network_transport: shown.map((row) => String(row["network_transport"])),
    connections: numbers("connections"),
    failed_connections: numbers("failed_connections"),
    tx_bytes: numbers("tx_bytes"),
    rx_bytes: numbers("rx_bytes"),
    retransmits: numbers("retransmits"),
    srtt_us: shown.map((row) => row["srtt_us"] === null ? null : Number(row["srtt_us"])),
  };
}

function tableOf({ name, description }: Analysis, { columns, rows }: Answer): ReportTable {
  const value = (of: unknown, isNumber: boolean) => of === null || of === undefined ? null : isNumber ? Number(of) : String(of);
  const shown = rows.slice(0, TABLE_ROWS_MAX);
  return {
    name,
    description,
    columns,
    rows: shown.map((row) => columns.map((column) => value(row[column.name], column.isNumber))),
    leftOut: rows.length - shown.length,
  };
}
