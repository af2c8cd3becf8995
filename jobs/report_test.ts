/** The report is one page that needs nothing else, and that no name can break out of. */

import assert from "node:assert/strict";
import type { Answer } from "./portable_sql.ts";
import { reportHtml } from "./report.ts";

const EVIL = '</script><script>alert("x")</script>';
const COLUMNS = ["client_service", "server_service", "server_port", "tx_bytes", "rx_bytes"].map((name, i) => ({ name, isNumber: i >= 2 }));
const answer = (client: string, rows = 1): Answer => ({
  columns: COLUMNS,
  rows: Array.from(
    { length: rows },
    () => ({ client_service: client, server_service: "b", server_port: "80", tx_bytes: "1024", rx_bytes: "1" }),
  ),
});

Deno.test("reportHtml() lets no service's name become markup or script", () => {
  const html = reportHtml(answer(EVIL), EVIL, "");
  assert.equal(html.match(/<script/g)!.length, 2); // the page's own two
  assert.ok(html.includes("&lt;/script&gt;"));
  const data = /id="edges">([^]*?)<\/script>/.exec(html)![1]!;
  assert.equal(JSON.parse(data)[0].client_service, EVIL);
});

Deno.test("reportHtml() refers to nothing outside itself", () => {
  assert.doesNotMatch(reportHtml(answer("a"), "", ""), /\b(src|href)=|url\(|@import/);
});

Deno.test("reportHtml() says how many edges the graph leaves to the table", () => {
  assert.match(reportHtml(answer("a", 310), "", ""), /300 edges with the most bytes; 10 more are in the table/);
});
