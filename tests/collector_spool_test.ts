/** The collector with a spool: killed while its topic is away, it loses nothing that it had spooled, and doubles nothing. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { replay } from "./captured.ts";
import { RunningTask } from "./command.ts";
import { testWith } from "./require.ts";
import { missingSmallDisk, SmallDisk } from "./small_disk.ts";

const FLOWS = 300;

/** One flow a datagram, each of a conversation of its own. */
function datagrams(first: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: FLOWS }, (_, i) => {
    const flow = skyfallRecord("skyfall_flow", { ...FLOW, remote_port: first + i, tx_bytes: first + i });
    return datagram([flowSample([HOST, PROCESS, flow], { sequence: i + 1, pool: i + 1 })], { sequence: i + 1, uptimeMs: 1_000 + i });
  });
}

/** Server ports of all rows in the topic, ascending. */
async function storedPorts(topic: string): Promise<number[]> {
  await using consumer = await openConsumer(topic);
  const ports: number[] = [];
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) ports.push(...decodeFlowBatch(value).columns.server_port.values);
  }
  return ports.sort((a, b) => a - b);
}

async function spooledBytes(directory: string): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(directory)) {
    if (name.endsWith(".spool")) bytes += (await Deno.stat(`${directory}/${name}`)).size;
  }
  return bytes;
}

testWith(await missingSmallDisk(), "collector run publishes once what it had spooled when it was killed", async () => {
  await using disk = await SmallDisk.mount(4 << 20);
  const topic = `sqlite:${disk.path}/topic.db`, spool = await Deno.makeTempDir();
  const args = ["run", "--listen", "127.0.0.1:0", "--workers", "1", "--window-s", "1", "--topic", topic, "--spool-directory", spool];
  const killed = await RunningTask.start("collector", args);
  const { port } = JSON.parse(await killed.line("listening"));
  const free = await disk.fill();
  await replay(datagrams(10_000), port);
  // All rows leave within the window, each second's as a message.
  for (let seen = -1, now = 0; now === 0 || now > seen;) {
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    [seen, now] = [now, await spooledBytes(spool)];
  }
  killed.kill("SIGKILL");
  await killed.ended;

  await free();
  const next = await RunningTask.start("collector", args);
  await replay(datagrams(20_000), JSON.parse(await next.line("listening")).port);
  next.kill("SIGTERM");
  const { code, stderr } = await next.ended;
  assert.equal(code, 0, stderr);
  const { ledger } = JSON.parse(await next.line("stopped"));
  assert.deepEqual(
    [ledger.events_recovered, ledger.events_found_published, ledger.events_published, ledger.events_spooled, ledger.balance],
    [FLOWS, 0, 2 * FLOWS, 0, 0],
  );
  assert.deepEqual(await storedPorts(topic), [10_000, 20_000].flatMap((first) => Array.from({ length: FLOWS }, (_, i) => first + i)));
});

testWith(
  await missingSmallDisk(),
  "collector run that is stopped while its topic is away leaves all in the spool, and says so",
  async () => {
    await using disk = await SmallDisk.mount(1 << 20);
    const spool = await Deno.makeTempDir();
    const args = [
      "run",
      "--listen",
      "127.0.0.1:0",
      "--workers",
      "1",
      "--topic",
      `sqlite:${disk.path}/topic.db`,
      "--spool-directory",
      spool,
    ];
    const collector = await RunningTask.start("collector", args);
    const { port } = JSON.parse(await collector.line("listening"));
    await disk.fill();
    await replay(datagrams(10_000), port);
    collector.kill("SIGTERM");
    const { code, stderr } = await collector.ended;
    assert.equal(code, 0, stderr);
    const { ledger } = JSON.parse(await collector.line("stopped"));
    assert.deepEqual([ledger.events_published, ledger.events_spooled, ledger.events_unpublished, ledger.balance], [0, FLOWS, 0, 0]);
  },
);
