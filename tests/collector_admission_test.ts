/** The collector as a program takes datagrams from those that it is told to, and names in its ledger why it refused the others. */

import assert from "node:assert/strict";
import { LanedEncoder } from "../agent/lanes.ts";
import { makeFlow } from "../agent/testdata/flow.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { LANES_DEFAULT } from "../lib/lanes.ts";
import { parseKeys } from "../lib/sflow/authentication.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { replay } from "./captured.ts";
import { RunningTask, runTask } from "./command.ts";

const FLOWS = 60;
const [OLD_KEY, NEW_KEY, WRONG_KEY] = ["the key of last year", "the key of this year", "nobody's key of all"];

/** The datagrams of an agent that signs with a key, or does not sign. */
function agentDatagrams(key: string | null): Uint8Array<ArrayBuffer>[] {
  const source = {
    agentAddress: parseAddress("10.0.0.1"),
    host: { host_id: new Uint8Array(16).fill(key?.length ?? 1), boot_id: new Uint8Array(16), host_name: "agent" },
    enterprise: DEFAULT_ENTERPRISE,
    interop: false,
    key: key === null ? null : parseKeys(key)[0]!,
  };
  const encoder = new LanedEncoder(source, LANES_DEFAULT);
  for (let port = 1; port <= FLOWS; port++) encoder.add(makeFlow({ remote_port: port, role_source: 1, end_reason: 1 }));
  return Array.from(encoder.flush(1_000, { otherDrops: 0, unsentOf: () => 0 }, true), ({ bytes }) => bytes.slice());
}

async function collectorWith(...args: string[]): Promise<{ readonly collector: RunningTask; readonly port: number }> {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--workers", "2", "--topic", topic, ...args]);
  return { collector, port: JSON.parse(await collector.line("listening")).port };
}

async function ledgerOf(collector: RunningTask): Promise<Readonly<Record<string, number>>> {
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(await collector.line('"stopped"')).ledger;
}

Deno.test("collector run with keys takes what one of them signed, once, and counts what it refuses", async () => {
  const keyFile = await Deno.makeTempFile();
  await Deno.writeTextFile(keyFile, `${NEW_KEY}\n${OLD_KEY}\n`);
  const { collector, port } = await collectorWith("--key-file", keyFile);
  const [signed, unsigned, foreign] = [agentDatagrams(OLD_KEY!), agentDatagrams(null), agentDatagrams(WRONG_KEY!)];
  for (const datagrams of [signed, unsigned, foreign, signed]) await replay(datagrams, port);
  const ledger = await ledgerOf(collector);
  assert.deepEqual(
    [ledger["datagrams_received"], ledger["datagrams_refused_unauthenticated"], ledger["datagrams_refused_replayed"]],
    [signed.length, unsigned.length + foreign.length, signed.length],
  );
  assert.deepEqual([ledger["events_published"], ledger["records_ignored"], ledger["balance"]], [FLOWS, 0, 0]);
});

Deno.test("collector run without keys takes signed datagrams like any", async () => {
  const { collector, port } = await collectorWith();
  await replay(agentDatagrams(NEW_KEY!), port);
  const ledger = await ledgerOf(collector);
  assert.deepEqual([ledger["events_published"], ledger["records_ignored"], ledger["datagrams_malformed"]], [FLOWS, 0, 0]);
});

Deno.test("collector run refuses senders out of its ranges, and those that send too much", async () => {
  const other = await collectorWith("--allow", "192.0.2.0/24", "--allow", "2001:db8::/32");
  await replay(agentDatagrams(null), other.port);
  const refused = await ledgerOf(other.collector);
  assert.deepEqual([refused["datagrams_received"], refused["datagrams_refused_source"]], [0, agentDatagrams(null).length]);

  const slow = await collectorWith("--source-limit", "1");
  await replay(agentDatagrams(null), slow.port);
  const { datagrams_received: received, datagrams_refused_rate: overRate } = await ledgerOf(slow.collector);
  assert.ok(received! >= 2 && overRate! >= 1, `${received} received`);
  assert.equal(received! + overRate!, agentDatagrams(null).length);
});

Deno.test("collector run refuses a range that is none, as misuse, and a key that is too short", async () => {
  const args = ["run", "--listen", "127.0.0.1:0", "--topic", "sqlite:topic.db"];
  const misuse = await runTask("collector", [...args, "--allow", "10.0.0.0/33"]);
  assert.deepEqual([misuse.code, /10\.0\.0\.0\/33/.test(misuse.stderr)], [2, true]);
  const keyFile = await Deno.makeTempFile();
  await Deno.writeTextFile(keyFile, "short\n");
  const short = await runTask("collector", [...args, "--key-file", keyFile]);
  assert.deepEqual([short.code, /Cannot use key: 5 bytes/.test(short.stderr)], [2, true]);
});
