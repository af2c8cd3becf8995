/** The report opens in a browser without a network: a service is clicked, and its neighbours are read. */

import assert from "node:assert/strict";
import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import { runTask } from "./command.ts";
import { CHROMIUM, ReportPage } from "./report/browser.ts";
import { lakeOf, type Pair } from "./report/lake.ts";
import { missingCommand, testWith } from "./require.ts";

const missing = await missingCommand(CHROMIUM, "--version");

/** Different pairs of different services, each service in one of them. */
function pairsOf(services: number, count: number): Pair[] {
  const random = randomNumbers(7), pairs = new Map<number, Pair>();
  for (let client = 0; pairs.size < count; client = (client + 1) % services) {
    const server = random(services);
    if (server !== client) pairs.set(client * services + server, [client, server]);
  }
  return [...pairs.values()];
}

async function report(names: readonly string[], pairs: readonly Pair[], args: readonly string[] = []): Promise<string> {
  const folder = await Deno.makeTempDir(), path = `${folder}/report.html`;
  const lake = await lakeOf(folder, names, pairs);
  const { code, stderr } = await runTask("jobs", ["report", "--lake", lake, "--output", path, ...args]);
  assert.equal(code, 0, stderr);
  return path;
}

/** Names of the services as the report orders them. */
function orderOf(page: ReportPage): Promise<string[]> {
  return page.page.$eval("#data", (element) => JSON.parse(element.textContent ?? "").services);
}

for (const [services, edges] of [[20, 40], [2_000, 10_000]] as const) {
  testWith(missing, `a report of ${services} services opens offline; a click on one tells its neighbours`, async () => {
    const names = Array.from({ length: services }, (_, i) => `${["shop", "pay", "feed", "ads"][i % 4]}/app-${i}`),
      pairs = pairsOf(services, edges);
    await using page = await ReportPage.open(await report(names, pairs));
    const order = await orderOf(page);
    assert.equal(order.length, services);
    assert.deepEqual(await page.texts("#grouping option:first-child"), ["name"]);
    for (const place of [0, 3]) {
      const chosen = names.indexOf(order[place]!);
      await page.clickService(place);
      await page.page.waitForFunction((name) => document.querySelector("#detail h2")?.textContent === name, {}, order[place]!);
      const neighbours = (own: 0 | 1) => pairs.filter((pair) => pair[own] === chosen).map((pair) => names[pair[1 - own]!]!).sort();
      assert.deepEqual((await page.texts("#asked-by .name")).sort(), neighbours(1));
      assert.deepEqual((await page.texts("#asks .name")).sort(), neighbours(0));
    }
    assert.deepEqual(page.complaints, []);
  });
}

testWith(missing, "search, matrix, plots and tables of a report work, and tables tell what they have", async () => {
  const names = Array.from({ length: 100 }, (_, i) => `${["shop", "pay"][i % 2]}/app-${i}`), pairs = pairsOf(100, 300);
  await using page = await ReportPage.open(await report(names, pairs));
  await page.page.type("#query", "APP-42");
  await page.page.keyboard.press("Enter");
  assert.deepEqual(await page.texts("#detail h2"), ["shop/app-42"]);
  await page.page.click("#matrix-button");
  await page.page.waitForSelector("#matrix .tabulator-row");
  const cells = (await page.texts("#matrix .tabulator-row .tabulator-cell")).map((text) => text.trim());
  assert.deepEqual([cells.length, cells.every((text) => text !== "")], [6, true], cells.join());
  const expected = pairs.filter(([client, server]) => client % 2 === 0 && server % 2 === 1).length;
  const column = (await page.texts("#matrix .tabulator-col")).findIndex((text) => text.includes("pay"));
  const row = (await page.texts("#matrix .tabulator-row")).findIndex((text) => text.trim().startsWith("shop"));
  await page.page.click(`#matrix .tabulator-row:nth-child(${row + 1}) .tabulator-cell:nth-child(${column + 1})`);
  await page.page.waitForFunction((text) => document.querySelector("#table-count")?.textContent === text, {}, `${expected} of 300 rows`);
  await page.page.click("#table-pair");
  await page.page.type("#table-filter", "app-42");
  const touching = pairs.filter((pair) => pair.includes(42)).length;
  await page.page.waitForFunction((text) => document.querySelector("#table-count")?.textContent === text, {}, `${touching} of 300 rows`);
  await page.page.click('[data-table="hubs"]');
  await page.page.waitForSelector('#table[data-shown="hubs"] .tabulator-row');
  await page.page.click("#traffic-button");
  await page.page.waitForFunction(() => (document.querySelector("canvas#traffic-plot")?.clientHeight ?? 0) > 100);
  assert.deepEqual(page.complaints, []);
});

/** Markup, ends of scripts, quotes, marks that turn the direction, control characters, names of objects' parts, 4,000 characters. */
const HOSTILE = [
  '</script><script>document.title="broken"</script>',
  "<img src=x onerror=alert(1)>",
  `"'><svg onload=alert(2)>`,
  "\u202egnp.exe\u2066 \u200f",
  "__proto__",
  "constructor",
  "line\nline\r\t\u0007 \u001b[31m",
  `long ${"x".repeat(4_000)}`,
  "é中\u{1f600} ".repeat(50),
  "<!--",
  "&lt;b&gt; ${1} {{2}} %s",
  "]]>; drop table flow; --",
];

testWith(missing, "hostile names do a report no harm, and are read as they are", async () => {
  const pairs = HOSTILE.map((_, i): Pair => [i, (i + 1) % HOSTILE.length]);
  await using page = await ReportPage.open(await report(HOSTILE, pairs));
  const order = await orderOf(page);
  assert.deepEqual(order.toSorted(), HOSTILE.toSorted());
  for (const place of order.keys()) {
    await page.clickService(place);
    await page.page.waitForSelector("#asks .name");
    const [title] = await page.texts("#detail h2"), own = HOSTILE.indexOf(order[place]!);
    // deno-lint-ignore no-control-regex -- they are what it is about
    const plain = (name: string) => name.replace(/[\u0000-\u001f\u200f\u202e\u2066]+/g, " ");
    assert.equal(title, plain(HOSTILE[own]!));
    assert.deepEqual(await page.texts("#asks .name"), [plain(HOSTILE[(own + 1) % HOSTILE.length]!)]);
  }
  for (const tab of ["matrix", "traffic", "tables", "map"]) await page.page.click(`#${tab}-button`);
  await page.page.type("#query", "<");
  await page.page.waitForSelector("#matches button");
  for (const table of ["talkers", "hubs", "bottlenecks"]) {
    await page.page.click("#tables-button");
    await page.page.click(`[data-table="${table}"]`);
    await page.page.waitForSelector(`#table[data-shown="${table}"] .tabulator-cell`);
  }
  const found = await page.page.evaluate(() => ({
    title: document.title,
    scripts: document.scripts.length,
    foreign: document.querySelectorAll("img, svg, iframe, object").length,
    width: document.documentElement.scrollWidth,
  }));
  assert.deepEqual(found, { title: "Skyfall: service dependencies", scripts: 2, foreign: 0, width: 1_440 });
  assert.deepEqual(page.complaints, []);
});
