/** Addresses get their names from a real DNS server, and keep them when it is gone. */

import assert from "node:assert/strict";
import { prepareViews } from "../jobs/analytics.ts";
import { EVERYTHING } from "../jobs/question.ts";
import { reverseNames, reverseQuery } from "../jobs/reverse_dns.ts";
import { goldenDatabase } from "../jobs/testdata/golden.ts";
import { missingCommand, testWith } from "./require.ts";

const PORT = 5_399;
const SERVER = { ipAddr: "127.0.0.1", port: PORT };
const FLOWS = new URL("../jobs/analytics/testdata/names_input.csv", import.meta.url).pathname;

async function startServer(): Promise<Deno.ChildProcess> {
  const args = ["--no-daemon", `--port=${PORT}`, "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces"];
  const records = ["--local=/in-addr.arpa/", "--ptr-record=5.113.0.203.in-addr.arpa,partner.example"];
  const server = new Deno.Command("dnsmasq", { args: [...args, ...records, "--user="], stdin: "null", stdout: "null", stderr: "null" })
    .spawn();
  for (let i = 0; i < 100; i++) {
    try {
      await Deno.resolveDns("5.113.0.203.in-addr.arpa", "PTR", { nameServer: SERVER, signal: AbortSignal.timeout(200) });
      return server;
    } catch (error) {
      if (i === 99) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return server;
}

Deno.test("reverseQuery() asks as the RFCs have it", () => {
  assert.equal(reverseQuery("203.0.113.5"), "5.113.0.203.in-addr.arpa");
  assert.equal(
    reverseQuery("2001:db8::1"),
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
});

testWith(await missingCommand("dnsmasq", "--version"), "DNS names what nothing else does, and is asked once a day", async () => {
  const cache = `${await Deno.makeTempDir()}/dns.json`;
  using database = await goldenDatabase(FLOWS);
  await prepareViews(database, EVERYTHING);
  const server = await startServer();
  const expected = [{ address: "203.0.113.5", service: "partner.example" }];
  try {
    assert.deepEqual(await reverseNames(database, cache, SERVER), expected);
  } finally {
    server.kill();
    await server.status;
  }
  assert.deepEqual(await reverseNames(database, cache, SERVER), expected);
  const kept = JSON.parse(await Deno.readTextFile(cache));
  assert.equal(kept["203.0.114.5"].name, null);
});

Deno.test("a file that is no cache of names is refused, not overwritten", async () => {
  const cache = await Deno.makeTempFile();
  await Deno.writeTextFile(cache, "mine");
  using database = await goldenDatabase(FLOWS);
  await assert.rejects(reverseNames(database, cache, SERVER), { name: "SyntaxError", message: /it is none; remove it/ });
  assert.equal(await Deno.readTextFile(cache), "mine");
});
