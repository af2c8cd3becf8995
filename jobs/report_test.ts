/** The report is one page that needs nothing else, and that no name can break out of. */

import assert from "node:assert/strict";
import { groupings, groupName } from "./report/groupings.ts";
import { reportHtml } from "./report/html.ts";
import type { ReportData, ReportEdges } from "./report/report_data.ts";

const EVIL = '</script><script>alert("x")</script>';

function edges(pairs: readonly (readonly [client: number, server: number, bytes: number])[]): ReportEdges {
  const same = <T>(value: T) => pairs.map(() => value);
  return {
    client: pairs.map(([client]) => client),
    server: pairs.map(([, server]) => server),
    server_port: same(80),
    network_transport: same("tcp"),
    connections: same(1),
    failed_connections: same(0),
    tx_bytes: pairs.map(([, , bytes]) => bytes),
    rx_bytes: same(0),
    retransmits: same(0),
    srtt_us: same(null),
  };
}

const data = (name: string): ReportData => ({
  fromMs: 0,
  toMs: 0,
  coverage: name,
  services: [name, "b"],
  groupings: [{ name: "name", meaning: "", groups: [name], groupOf: [0, 0] }],
  edges: edges([[0, 1, 5]]),
  edgesLeftOut: 0,
  traffic: { stepMs: 60_000, servers: [], connectionsPerSecond: [], failedPerSecond: [], retransmitsPerSecond: [] },
  tables: [],
});

Deno.test("reportHtml() lets no service's name become markup or script", async () => {
  const html = await reportHtml(data(EVIL), "", "", "");
  assert.equal(html.match(/<script/g)!.length, 2); // the page's own two
  const json = /id="data">([^]*?)<\/script>/.exec(html)![1]!;
  assert.equal(JSON.parse(json).services[0], EVIL);
});

Deno.test("reportHtml() lets a browser run the page's own code alone, and ask nobody", async () => {
  const html = await reportHtml(data("a"), "", "", "1;");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("1;"))).toBase64();
  assert.ok(html.includes(`content="default-src 'none'; script-src 'sha256-${hash}';`));
  assert.doesNotMatch(html, /\b(src|href)=|url\(|@import/);
});

Deno.test("groupName() is the namespace, the first word, or that nothing names an address", () => {
  const names = ["shop/api", "payments-api-7", "sshd.service", "db", "unmanaged 10.0.0.1", "-x"];
  assert.deepEqual(names.map(groupName), ["shop", "payments", "sshd", "db", "unmanaged", "-x"]);
});

Deno.test("groupings() finds services that talk with each other, names them after the greatest, and puts what says little last", () => {
  const services = ["a", "b", "c", "d", "e", "f"];
  const found = groupings(services, edges([[0, 1, 90], [1, 2, 90], [0, 2, 90], [3, 4, 50], [4, 5, 50], [3, 5, 50], [2, 3, 1]]), null);
  assert.deepEqual(found.map(({ name }) => name), ["community", "name"]);
  assert.deepEqual([found[0]!.groups, found[0]!.groupOf], [["around a", "around d"], [0, 0, 0, 1, 1, 1]]);
});

Deno.test("groupings() begins with zones where there are some", () => {
  const [first] = groupings(["a", "b", "c", "d"], edges([[0, 1, 1], [2, 3, 1]]), new Map([["a", "web"], ["b", "data"], ["c", "web"]]));
  assert.deepEqual([first!.name, first!.groups, first!.groupOf], ["zone", ["web", "data", "unzoned"], [0, 1, 0, 2]]);
});
