/** A broker that is killed, and a collector that is killed meanwhile: what was spooled is in the topic once, in the end. */

import assert from "node:assert/strict";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { readRecords } from "../collector/spool_segment.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { Broker } from "../tools/kafka.ts";
import { replay } from "./captured.ts";
import { RunningTask } from "./command.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const FLOWS = 200, PARTITIONS = 2;
const missing = firstMissing(await missingCommand("java", "-version"), await missingCommand("mvn", "--version"));

/** One flow a datagram, each of a conversation of its own. */
function datagrams(first: number): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: FLOWS }, (_, i) => {
    const flow = skyfallRecord("skyfall_flow", { ...FLOW, remote_port: first + i });
    return datagram([flowSample([HOST, PROCESS, flow], { sequence: first + i, pool: first + i })], {
      sequence: first + i,
      uptimeMs: first + i,
    });
  });
}

async function storedPorts(url: string): Promise<number[]> {
  await using consumer = await openConsumer(url);
  const ports: number[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await consumer.offsets(partition);
    for (let offset = 0n; offset < end;) {
      for (const { value, offset: at } of await consumer.read(partition, offset, 1 << 24)) {
        ports.push(...decodeFlowBatch(value).columns.server_port.values);
        offset = at + 1n;
      }
    }
  }
  return ports.sort((a, b) => a - b);
}

testWith(missing, "what a collector spooled while its broker was down is in the topic once, though both were killed", async () => {
  await using broker = await Broker.start();
  const spool = await Deno.makeTempDir(), topic = broker.url("spooled", `?partitions=${PARTITIONS}`);
  const args = ["run", "--listen", "127.0.0.1:0", "--workers", "1", "--window-s", "1", "--topic", topic, "--spool-directory", spool];
  const expected: number[] = [];
  const send = async (collector: RunningTask, first: number) => {
    const { port } = JSON.parse(await collector.line("listening"));
    await replay(datagrams(first), port);
    for (let i = 0; i < FLOWS; i++) expected.push(first + i);
  };

  const first = await RunningTask.start("collector", args);
  await send(first, 10_000);
  while ((await storedPorts(broker.url("spooled"))).length < FLOWS) await new Promise((resolve) => setTimeout(resolve, 200));
  await broker.kill();
  await send(first, 20_000);
  // The first attempt takes its time; then all is spooled as it comes.
  while (await spooledRows(spool) < FLOWS) await new Promise((resolve) => setTimeout(resolve, 200));
  first.kill("SIGKILL");
  await first.ended;

  const second = await RunningTask.start("collector", args); // without its broker
  await send(second, 30_000);
  await second.line("rows wait for the topic");
  await broker.restart();
  while ((await storedPorts(broker.url("spooled"))).length < 3 * FLOWS) await new Promise((resolve) => setTimeout(resolve, 200));
  second.kill("SIGTERM");
  const { code, stderr } = await second.ended;
  assert.equal(code, 0, stderr);
  const { ledger } = JSON.parse(await second.line("stopped"));
  assert.deepEqual([ledger.events_recovered, ledger.events_spooled, ledger.events_unpublished, ledger.balance], [FLOWS, 0, 0, 0]);
  assert.deepEqual(await storedPorts(broker.url("spooled")), expected);
});

/** Rows in the spool of a collector that runs. */
async function spooledRows(directory: string): Promise<number> {
  let rows = 0;
  for await (const { name } of Deno.readDir(directory)) {
    if (!name.endsWith(".spool")) continue;
    const { messages } = await readRecords(`${directory}/${name}`, 0, Infinity, Infinity);
    rows += messages.reduce((sum, message) => sum + message.rows, 0);
  }
  return rows;
}
