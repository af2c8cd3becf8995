/**
 * The report of a fleet's day: how long it takes to write, how large it is, and how long a browser takes until it has drawn it.
 *
 *     deno task bench report --rows 1000000
 */

import { ReportPage } from "../tests/report/browser.ts";
import { runTask } from "../tests/command.ts";
import type { FlowShape } from "./flow_generator.ts";
import { writeFlowLake } from "./flow_lake.ts";
import { formatTable } from "./table.ts";

const DEFAULT_ROWS = 1_000_000;
const ROUNDS = 3;

const option = Deno.args.indexOf("--rows");
const shape: FlowShape = { rows: option < 0 ? DEFAULT_ROWS : Number(Deno.args[option + 1]), minutes: 1_440, seed: 1 };
const folder = await Deno.makeTempDir(), path = `${folder}/report.html`;
await writeFlowLake(shape, `${folder}/lake`);
const startMs = performance.now();
const { code, stderr } = await runTask("jobs", ["report", "--lake", `${folder}/lake`, "--output", path]);
if (code !== 0) throw new Error(`Cannot write the report: ${stderr}`);
const writeMs = performance.now() - startMs;
const drawings: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  await using page = await ReportPage.open(path);
  drawings.push(await page.firstDrawingMs());
}
const html = await Deno.readTextFile(path), data = JSON.parse(/id="data">([^]*?)<\/script>/.exec(html)![1]!);
console.log(formatTable(["rows of flow", "services", "edges", "written in s", "file, MB", `first drawing in ms, best of ${ROUNDS}`], [[
  String(shape.rows),
  String(data.services.length),
  String(data.edges.client.length),
  (writeMs / 1_000).toFixed(1),
  (new TextEncoder().encode(html).length / 1e6).toFixed(2),
  Math.min(...drawings).toFixed(0),
]]));
await Deno.remove(folder, { recursive: true });
Deno.exit(0);
