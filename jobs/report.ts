/** Writes the report: one HTML file that opens without a network. */

import { analyse, ANALYSES } from "./analytics.ts";
import { coverage } from "./coverage.ts";
import type { Database } from "./duckdb.ts";
import type { Answer } from "./portable_sql.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { keptIn, type LakeSnapshots } from "./query.ts";
import { EVERYTHING } from "./question.ts";
import { cell, formatAnswer, heading } from "./print.ts";

const PAGE = new URL("report_page/page.gen.js", import.meta.url);
/** A graph of more edges is no longer legible; the table has them all. */
const GRAPH_EDGES_MAX = 300;

/** Text of the report on everything in the view `flow`. */
export async function makeReport(database: Database, snapshot: Snapshot, snapshots: LakeSnapshots): Promise<string> {
  const graph = ANALYSES.find(({ name }) => name === "dependency-graph")!;
  const answer = await analyse(database, graph, EVERYTHING, keptIn(snapshots));
  return reportHtml(answer, await coverage(database, snapshot), await Deno.readTextFile(PAGE));
}

/** @param script The page's code, ours; everything else is escaped. */
export function reportHtml(answer: Answer, coverageLine: string, script: string): string {
  const drawn = { ...answer, rows: answer.rows.slice(0, GRAPH_EDGES_MAX) };
  const left = answer.rows.length - drawn.rows.length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Skyfall: service dependencies</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1a202c; }
#graph { height: 32rem; border: 1px solid #cbd5e0; }
table { border-collapse: collapse; margin-top: 1rem; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #e2e8f0; text-align: left; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<h1>Service dependencies</h1>
<p>${escapeHtml(coverageLine)}</p>
<div id="graph"></div>
<p id="neighbours">Click a service to see its neighbours.</p>
${left > 0 ? `<p>The graph shows the ${GRAPH_EDGES_MAX} edges with the most bytes; ${left} more are in the table.</p>` : ""}
${tableHtml(answer)}
<script type="application/json" id="edges">${escapeJson(formatAnswer(drawn, "json", GRAPH_EDGES_MAX))}</script>
<script>${script.replaceAll("</script", "<\\/script")}</script>
</body>
</html>
`;
}

function tableHtml({ columns, rows }: Answer): string {
  const tag = (name: string, text: string, isNumber: boolean) =>
    `<${name}${isNumber ? ' class="number"' : ""}>${escapeHtml(text)}</${name}>`;
  const head = columns.map(({ name, isNumber }) => tag("th", heading(name), isNumber)).join("");
  const body = rows.map((row) =>
    `<tr>${columns.map(({ name, isNumber }) => tag("td", cell(name, row[name], isNumber), isNumber)).join("")}</tr>`
  );
  return `<table><thead><tr>${head}</tr></thead><tbody>\n${body.join("\n")}\n</tbody></table>`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** JSON inside a script element must not hold what ends it. */
function escapeJson(json: string): string {
  return json.replaceAll("<", "\\u003c");
}
