/** The chain over a real Kafka broker: what the collector publishes is in the lake, and other programs read it too. */

import assert from "node:assert/strict";
import zlib from "node:zlib";
import { tableFromIPC } from "apache-arrow";
import kafkajs from "kafkajs";
import { datagram, FLOW, flowSample, HOST, PROCESS, skyfallRecord } from "../collector/testdata/datagram.ts";
import { runEtl } from "../jobs/etl.ts";
import { ask, MESSAGE_ROWS, publishFlows } from "../jobs/testdata/topic.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { python } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { replay } from "./captured.ts";
import { RunningTask, runTask } from "./command.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const missing = firstMissing(await missingCommand("java", "-version"), await missingCommand("mvn", "--version"));
const DATAGRAMS = 400, FLOWS_PER_DATAGRAM = 3, SERVERS = 200;
const PARTITIONS = 4, MESSAGES = 20;

let started: Promise<Broker> | null = null;

function shared(): Promise<Broker> {
  return started ??= Broker.start();
}

Deno.test.afterAll(async () => {
  await (await started)?.[Symbol.asyncDispose]();
});

/** Datagrams of one agent: flow i to one of many servers. */
function agentDatagrams(): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: DATAGRAMS }, (_, d) => {
    const flows = Array.from({ length: FLOWS_PER_DATAGRAM }, (_, f) => {
      const i = d * FLOWS_PER_DATAGRAM + f;
      return skyfallRecord("skyfall_flow", { ...FLOW, flow_id: i + 1, remote_port: 5_000 + i % SERVERS, tx_bytes: i, rx_bytes: 2 * i });
    });
    const pool = (d + 1) * FLOWS_PER_DATAGRAM;
    return datagram([flowSample([HOST, PROCESS, ...flows], { sequence: d + 1, pool })], { sequence: d + 1, uptimeMs: 1_000 + d });
  });
}

interface Totals {
  readonly rows: number;
  readonly sent: bigint;
  readonly partitions: number;
}

/** What is in the topic, by our own decoder. */
async function topicTotals(url: string): Promise<Totals> {
  await using consumer = await openConsumer(url);
  let rows = 0, sent = 0n;
  const partitions = new Set<number>();
  for (let partition = 0; partition < consumer.partitionCount; partition++) {
    for (const { value } of await consumer.read(partition, 0n, 1 << 30)) {
      const { rowCount, columns } = decodeFlowBatch(value);
      rows += rowCount;
      sent += columns.bytes_sent.values.reduce((sum, bytes) => sum + bytes, 0n);
      partitions.add(partition);
    }
  }
  return { rows, sent, partitions: partitions.size };
}

testWith(missing, "what the collector receives goes through Kafka into the lake, each row once", async () => {
  const broker = await shared(), url = broker.url("chain"), lake = await Deno.makeTempDir();
  const topic = broker.url("chain", `?partitions=${PARTITIONS}`);
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--workers", "2", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await replay(agentDatagrams(), port);
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  const { ledger } = JSON.parse(await collector.line("stopped"));
  const flows = DATAGRAMS * FLOWS_PER_DATAGRAM;
  assert.deepEqual([ledger.events_published, ledger.balance], [flows, 0]);
  const expected = await topicTotals(url);
  assert.deepEqual([expected.sent, expected.partitions], [BigInt(flows * (flows - 1) / 2), PARTITIONS]);

  for (let round = 0; round < 2; round++) {
    const { code, stderr } = await runTask("jobs", ["run", "etl", "--topic", url, "--lake", lake]);
    assert.equal(code, 0, stderr);
  }
  const rows = await ask(
    lake,
    "select count(*) as rows, sum(bytes_sent)::bigint as sent, count(distinct src_partition)::integer as partitions from flow",
  );
  assert.deepEqual(rows, [{ rows: String(expected.rows), sent: String(expected.sent), partitions: PARTITIONS }]);
});

testWith(missing, "a lake begins with the oldest message that a Kafka topic still has", async () => {
  const broker = await shared(), url = broker.url("trimmed"), lake = await Deno.makeTempDir();
  await publishFlows(broker.url("trimmed", "?partitions=2"), 6, 1);
  await broker.administer((admin) => admin.deleteRecords({ topics: [{ name: "trimmed", partitions: [{ partition: 0, offset: 2n }] }] }));
  assert.equal((await runEtl(url, lake)).rows, 4 * MESSAGE_ROWS);
});

testWith(missing, "kafkajs and Apache Arrow read what we wrote", async () => {
  const broker = await shared();
  await publishFlows(broker.url("kafkajs", "?partitions=2"), MESSAGES, 1);
  const expected = await topicTotals(broker.url("kafkajs"));
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { readonly buffer: Uint8Array }) => Promise.resolve(zlib.zstdCompressSync(buffer)),
    decompress: (buffer: Uint8Array) => Promise.resolve(zlib.zstdDecompressSync(buffer)),
  });
  const consumer = new kafkajs.Kafka({ brokers: [broker.address], logLevel: kafkajs.logLevel.NOTHING }).consumer({ groupId: "reader" });
  await consumer.connect();
  await consumer.subscribe({ topic: "kafkajs", fromBeginning: true });
  const values: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await consumer.run({
    eachMessage: ({ message }) => {
      values.push(new Uint8Array(message.value!));
      if (values.length === MESSAGES) resolve();
      return Promise.resolve();
    },
  });
  await promise;
  await consumer.disconnect();
  const tables = values.map((value) => tableFromIPC(value));
  const sent = tables.flatMap((table) => [...table.getChild("bytes_sent")!]).reduce((sum: bigint, bytes: bigint) => sum + bytes, 0n);
  assert.deepEqual([tables.reduce((sum, { numRows }) => sum + numRows, 0), sent], [expected.rows, expected.sent]);
  assert.equal(tables[0]!.schema.metadata.get("skyfall.schema_version"), String(FLOW_SCHEMA_VERSION));
});

testWith(firstMissing(missing, await missingCommand("python3", "--version")), "librdkafka and PyArrow read what we wrote", async () => {
  const broker = await shared();
  await publishFlows(broker.url("pyarrow", "?partitions=2"), MESSAGES, 7);
  const expected = await topicTotals(broker.url("pyarrow"));
  const script = new URL("kafka/read_topic.py", import.meta.url).pathname;
  const command = new Deno.Command(await python(), { args: [script, broker.address, "pyarrow"], stdout: "piped", stderr: "piped" });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { messages, rows, bytes_sent, schema_version } = JSON.parse(new TextDecoder().decode(stdout));
  assert.deepEqual(
    [messages, rows, BigInt(bytes_sent), schema_version],
    [MESSAGES, expected.rows, expected.sent, String(FLOW_SCHEMA_VERSION)],
  );
});

testWith(missing, "the collector says what is wrong with its Kafka topic, and stores later what it could not", async () => {
  await using broker = await Broker.start();
  const url = broker.url("late", "?partitions=2");
  await (await openProducer(url))[Symbol.asyncDispose]();
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--window-s", "1", "--topic", url]);
  const { port } = JSON.parse(await collector.line("listening"));
  await broker.kill();
  await replay(agentDatagrams(), port);
  assert.match(JSON.parse(await collector.line("rows wait for the topic")).error, /nothing listens there; start the broker/);
  await broker.restart();
  collector.kill("SIGTERM");
  const { code, stderr } = await collector.ended;
  assert.equal(code, 0, stderr);
  const { ledger } = JSON.parse(await collector.line("stopped"));
  assert.deepEqual([ledger.events_published, ledger.events_unpublished, ledger.balance], [DATAGRAMS * FLOWS_PER_DATAGRAM, 0, 0]);
  const { sent } = await topicTotals(broker.url("late"));
  const flows = DATAGRAMS * FLOWS_PER_DATAGRAM;
  assert.equal(sent, BigInt(flows * (flows - 1) / 2));
});
