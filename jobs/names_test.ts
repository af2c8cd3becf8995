/** Who the ends of a conversation are: by report, listener, file and DNS, each at its time. */

import assert from "node:assert/strict";
import { prepareViews } from "./analytics.ts";
import { nameRangesView, readTiers, reverseNamesView } from "./names.ts";
import { formatAnswer } from "./print.ts";
import { EVERYTHING } from "./question.ts";
import { goldenDatabase } from "./testdata/golden.ts";

const testdata = (name: string) => new URL(`analytics/testdata/${name}`, import.meta.url).pathname;

const NAMED_SQL = `select client_service, server_service, server_port, network_transport, sum(tx_bytes + rx_bytes)::bigint as bytes,
  client_named_by, server_named_by from named_conversation group by all order by client_service, server_service, server_port,
  network_transport, server_named_by desc`;

async function written(name: string, text: string): Promise<string> {
  const path = `${await Deno.makeTempDir()}/${name}`;
  await Deno.writeTextFile(path, text);
  return path;
}

Deno.test("an end has the name of its own report, else of the listener then, else of the file, else of DNS, else its address", async () => {
  using database = await goldenDatabase(testdata("names_input.csv"));
  await prepareViews(database, { ...EVERYTHING, names: testdata("names.yaml") });
  await database.run(reverseNamesView([{ address: "203.0.114.5", service: "partner b" }]));
  const answer = formatAnswer(await database.table(NAMED_SQL), "csv", 0).replaceAll("\r\n", "\n");
  assert.equal(answer + "\n", await Deno.readTextFile(testdata("names.csv")));
});

Deno.test("a question about a time knows the listeners of the hour before, and no flow of it", async () => {
  using database = await goldenDatabase(testdata("names_input.csv"));
  await prepareViews(database, { ...EVERYTHING, fromMs: Date.UTC(2026, 0, 2, 3, 30), toMs: Date.UTC(2026, 0, 2, 3, 31) });
  assert.deepEqual(await database.rows("select server_service, tx_bytes::integer as tx_bytes from named_conversation"), [
    { server_service: "web", tx_bytes: 100 },
  ]);
});

Deno.test("names of a CSV file are those of the same YAML file", async () => {
  const csv = await written("names.csv", "addresses,service,valid_from,valid_to\n10.0.0.0/8,wide,,2026-01-02\n10.1.2.3,one,,\n");
  const yaml = await written(
    "names.yaml",
    "names:\n- {addresses: 10.1.2.3, service: one}\n- {addresses: 10.0.0.0/8, service: wide, valid_to: 2026-01-02}\n",
  );
  assert.equal(await nameRangesView(csv), await nameRangesView(yaml));
});

Deno.test("names with quotes and backslashes stay as they are", async () => {
  using database = await goldenDatabase(testdata("names_input.csv"));
  await database.run(await nameRangesView(await written("n.csv", "addresses,service\n10.0.0.1,it's a\\b\n")));
  assert.deepEqual(await database.rows("select service from name_range"), [{ service: "it's a\\b" }]);
});

const FAULTS: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  [
    "n.yaml",
    "names:\n- {addresses: 10.0.0.0/8, service: a}\n- {addresses: 10.0.0.0/8, service: b}\n",
    /line 3: 10\.0\.0\.0\/8 overlaps .* of line 2/,
  ],
  ["n.yaml", "names:\n- {addresses: 10.0.0.0/40, service: a}\n", /line 2: .*addresses.*needed addresses such as/],
  ["n.yaml", "names:\n- {addresses: 10.0.0.1, service: a, valid_from: yesterday}\n", /line 2: .*"yesterday", needed a time such as/],
  [
    "n.yaml",
    "names:\n- {addresses: 10.0.0.1, service: a, valid_from: 2026-01-02, valid_to: 2026-01-01}\n",
    /line 2: it ends at 2026-01-01 /,
  ],
  ["n.yaml", "names:\n- {addresses: 10.0.0.1, service: a, prot: 1}\n", /line 2: names\[0\]\.prot: there is no such key/],
  ["n.csv", "addresses,service\n10.0.0.1,a\n10.0.0.300,b\n", /line 3: addresses: "10\.0\.0\.300", needed addresses/],
  [
    "n.csv",
    "addresses,servce\n10.0.0.1,a\n",
    /there is no column "servce", needed one of addresses, valid_from, valid_to, service/,
  ],
  ["n.csv", "addresses,service\n10.0.0.1,a,b\n", /line 2: .*columns/i],
  ["n.csv", "addresses,service\n10.0.0.1,\n", /line 2: service: it is missing/],
];

for (const [name, text, message] of FAULTS) {
  Deno.test(`names are refused with line and reason: ${JSON.stringify(text)}`, async () => {
    await assert.rejects(nameRangesView(await written(name, text)), { name: "SyntaxError", message });
  });
}

Deno.test("names are refused where there is no file", async () => {
  await assert.rejects(nameRangesView("/nowhere/names.yaml"), { name: "SyntaxError", message: /Cannot read "\/nowhere\/names\.yaml"/ });
});

Deno.test("readTiers() reads the tiers of services beside the names, and refuses what is none with its line", async () => {
  const path = `${await Deno.makeTempDir()}/names.yaml`;
  await Deno.writeTextFile(path, "names: []\nservices:\n- {service: db, tier: 1}\n- {service: log, tier: 3}\n");
  assert.deepEqual(await readTiers(path), new Map([["db", 1], ["log", 3]]));
  await nameRangesView(path); // the names are read from the same file
  await Deno.writeTextFile(path, "names: []\n");
  assert.deepEqual(await readTiers(path), new Map());
  await Deno.writeTextFile(path, "names: []\nservices:\n- {service: db, tier: 0}\n");
  await assert.rejects(readTiers(path), { name: "SyntaxError", message: /line 3: .*needed a tier from 1/ });
});
