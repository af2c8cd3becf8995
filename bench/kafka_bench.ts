/** Our Kafka topic beside librdkafka: the same messages of a collector, on one broker, written with all acknowledgements and read back. */

import { cpuUsage } from "node:process";
import { openConsumer, openProducer } from "../lib/topic/open.ts";
import type { TopicRecord } from "../lib/topic/topic.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { RunningTask } from "../tests/command.ts";
import { python } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { outputOf } from "./processes.ts";
import { makeDatagrams, sendAtRate } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const FLOWS = 200_000, CONVERSATIONS = 50_000, PROCESSES = 50, DATAGRAMS_PER_SECOND = 10_000;
const PARTITIONS = 8, REPEATS = 20, ROUNDS = 3;
/** Bytes in one call of `publish()`, as the collector's. */
const PUBLISH_BYTES = 8 * 1024 * 1024;
const READ_BYTES = 16 * 1024 * 1024;

interface Time {
  readonly seconds: number;
  readonly cpu_seconds: number;
}

interface Run {
  readonly write: Time;
  readonly read: Time;
}

/** Messages that a collector makes of one window of conversations. */
async function collectorMessages(directory: string): Promise<Uint8Array[]> {
  const topic = `sqlite:${directory}/topic.db`;
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await sendAtRate(
    makeDatagrams({ flows: FLOWS, conversations: CONVERSATIONS, processes: PROCESSES, interop: false }),
    port,
    DATAGRAMS_PER_SECOND,
  );
  collector.kill("SIGTERM");
  await collector.ended;
  await using consumer = await openConsumer(topic);
  return (await consumer.read(0, 0n, 1 << 30)).map(({ value }) => value);
}

async function timed(run: () => Promise<void>): Promise<Time> {
  const startMs = performance.now(), start = cpuUsage();
  await run();
  const { user, system } = cpuUsage(start);
  return { seconds: (performance.now() - startMs) / 1e3, cpu_seconds: (user + system) / 1e6 };
}

async function runOwn(broker: Broker, topic: string, messages: readonly Uint8Array[]): Promise<Run> {
  const write = await timed(async () => {
    await using producer = await openProducer(broker.url(topic));
    let records: TopicRecord[] = [], bytes = 0;
    for (let i = 0; i < REPEATS * messages.length; i++) {
      const value = messages[i % messages.length]!;
      records.push({ partition: i % PARTITIONS, value });
      bytes += value.length;
      if (bytes < PUBLISH_BYTES && i < REPEATS * messages.length - 1) continue;
      await producer.publish(records);
      [records, bytes] = [[], 0];
    }
  });
  const read = await timed(async () => {
    await using consumer = await openConsumer(broker.url(topic));
    let count = 0;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let offset = 0n, { end } = await consumer.offsets(partition); offset < end;) {
        const read = await consumer.read(partition, offset, READ_BYTES);
        count += read.length;
        offset += BigInt(read.length);
      }
    }
    if (count !== REPEATS * messages.length) throw new Error(`Cannot trust the run: ${count} messages`);
  });
  return { write, read };
}

async function runPeer(broker: Broker, topic: string, path: string): Promise<Run> {
  const script = new URL("kafka_peer.py", import.meta.url).pathname;
  return JSON.parse(await outputOf(await python(), script, broker.address, topic, String(PARTITIONS), path, String(REPEATS)));
}

const directory = await Deno.makeTempDir(), path = `${directory}/messages`;
const messages = await collectorMessages(directory);
{
  using file = await Deno.open(path, { write: true, create: true });
  for (const value of messages) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, value.length);
    file.writeSync(length);
    for (let at = 0; at < value.length;) at += file.writeSync(value.subarray(at));
  }
}
const rows = REPEATS * messages.reduce((sum, value) => sum + decodeFlowBatch(value).rowCount, 0);
const bytes = REPEATS * messages.reduce((sum, value) => sum + value.length, 0);

await using broker = await Broker.start();
const own: Run[] = [], peer: Run[] = [];
for (let round = 0; round < ROUNDS; round++) {
  for (
    const [who, runs, run] of [["own", own, () => runOwn(broker, `own-${round}`, messages)], [
      "peer",
      peer,
      () => runPeer(broker, `peer-${round}`, path),
    ]] as const
  ) {
    await (await openProducer(broker.url(`${who}-${round}`, `?partitions=${PARTITIONS}`)))[Symbol.asyncDispose]();
    runs.push(await run());
  }
}
const line = (name: string, times: readonly Time[]) => {
  const seconds = times.map((time) => time.seconds).sort((a, b) => a - b),
    cpu = times.map((time) => time.cpu_seconds).sort((a, b) => a - b);
  const median = ROUNDS >> 1;
  return [
    name,
    seconds.map((s) => s.toFixed(2)).join(" / "),
    (bytes / seconds[median]! / 1e6).toFixed(0),
    (rows / seconds[median]! / 1e6).toFixed(2),
    (rows / cpu[median]! / 1e6).toFixed(2),
  ];
};
console.log(
  `${REPEATS * messages.length} messages, ${rows} rows, ${
    (bytes / 1e6).toFixed(0)
  } MB, ${PARTITIONS} partitions, zstd, acks=all, idempotent, ${ROUNDS} rounds\n`,
);
console.log(formatTable(["client", "s", "MB/s", "M rows/s", "M rows per CPU second"], [
  line("skyfall: write", own.map(({ write }) => write)),
  line("librdkafka: write", peer.map(({ write }) => write)),
  line("skyfall: read", own.map(({ read }) => read)),
  line("librdkafka: read", peer.map(({ read }) => read)),
]));
await Deno.remove(directory, { recursive: true });
