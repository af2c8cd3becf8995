/**
 * The collector beside goflow2 and sfacctd. Socket to table: what a datagram's events cost until they are added up, with the
 * key of protocol, addresses and service port. Socket to Kafka: until a real broker has acknowledged them.
 */

import { openConsumer, openProducer } from "../lib/topic/open.ts";
import { RunningTask } from "../tests/command.ts";
import { goflow2 } from "../tools/cache.ts";
import { Broker } from "../tools/kafka.ts";
import { cpuSeconds, droppedDatagrams, freeUdpPort, pause, Peer } from "./processes.ts";
import { makeDatagrams, makeStandardDatagrams, makeTraceDatagrams, sendAtRate } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const EVENTS = 800_000, CONVERSATIONS = 10_000, PROCESSES = 50;
const DATAGRAMS_PER_SECOND = 15_000;
/** What is sent first, so that every program runs as it does after a while; and how long the rest may take to arrive. */
const WARM_UP = 0.25, READY_MS = 2_000, DRAIN_MS = 3_000;
/** Longer than a run, so that nothing leaves the table within it. */
const LONG_WINDOW_S = 3_600;
const PARTITIONS = 8;
/** Fleets of the trace side by side: some 124,000 events a second of 4,000 hosts. Others come first, as warm-up. */
const FLEETS = [0, 1], WARM_FLEETS = [2];
const MINUTE_MS = 60_000, TRACE_MAKING_MS = 90_000;
const PUBLISH_DEADLINE_MS = 150_000;

interface Load {
  readonly events: number;
  readonly datagrams: readonly Uint8Array<ArrayBuffer>[];
}

interface Cost {
  readonly events: number;
  readonly dropped: number;
  readonly cpuSeconds: number;
}

/** What a program's whole process costs over the load after the warm-up; the kernel's work for its socket is in it. */
async function costOf(pid: number, port: number, { events, datagrams }: Load): Promise<Cost> {
  const warm = Math.floor(datagrams.length * WARM_UP);
  await sendAtRate(datagrams.slice(0, warm), port, DATAGRAMS_PER_SECOND);
  await pause(DRAIN_MS);
  const before = await cpuSeconds(pid), droppedBefore = await droppedDatagrams(port);
  await sendAtRate(datagrams.slice(warm), port, DATAGRAMS_PER_SECOND);
  await pause(DRAIN_MS);
  const cpuS = await cpuSeconds(pid) - before, dropped = await droppedDatagrams(port) - droppedBefore;
  return { events: events * (datagrams.length - warm - dropped) / datagrams.length, dropped, cpuSeconds: cpuS };
}

async function skyfallToTable(load: Load): Promise<Cost> {
  const topic = `sqlite:${await Deno.makeTempDir()}/topic.db`;
  const window = ["--window-s", String(LONG_WINDOW_S), "--workers", "1"];
  const collector = await RunningTask.start("collector", ["run", "--listen", "127.0.0.1:0", ...window, "--topic", topic]);
  const { port } = JSON.parse(await collector.line("listening"));
  await pause(READY_MS);
  const cost = await costOf(collector.pid, port, load);
  await stop(collector, load.events - load.events * cost.dropped / load.datagrams.length);
  return cost;
}

/** Stops a collector, and makes sure that it accounts for every event. */
async function stop(collector: RunningTask, events: number): Promise<void> {
  collector.kill("SIGTERM");
  const { ledger } = JSON.parse(await collector.line('"stopped"'));
  const received = ledger.flow_records_received + ledger.standard_samples_received;
  if (Math.abs(received - events) > 1 || ledger.balance !== 0) throw new Error(`Cannot trust the run: ${JSON.stringify(ledger)}`);
}

/**
 * A minute of the trace in its own time; in the minute after, its rows leave. Before it a part of another minute and of its rows,
 * as warm-up.
 */
async function skyfallToKafka(broker: Broker): Promise<Cost> {
  const warmMs = (Math.floor((Date.now() + TRACE_MAKING_MS) / MINUTE_MS) + 1) * MINUTE_MS, minuteMs = warmMs + 2 * MINUTE_MS;
  const { flows, datagrams } = makeTraceDatagrams(FLEETS, minuteMs * 1_000);
  const all = makeTraceDatagrams(WARM_FLEETS, warmMs * 1_000).datagrams, warm = all.slice(0, Math.floor(all.length * WARM_UP));
  const topic = `${broker.url("skyfall")}?partitions=${PARTITIONS}`;
  const collector = await RunningTask.start(
    "collector",
    ["run", "--listen", "127.0.0.1:0", "--workers", "1", "--table-rows", "4000000", "--topic", topic, "--metrics-listen", "127.0.0.1:0"],
  );
  const { port } = JSON.parse(await collector.line("listening"));
  const metrics = `http://127.0.0.1:${JSON.parse(await collector.line("serving metrics")).port}/metrics`;
  const published = async () => Number(/^skyfall_collector_events_published_total (\d+)$/m.exec(await (await fetch(metrics)).text())?.[1]);
  await pause(Math.max(READY_MS, warmMs - Date.now()));
  await sendAtRate(warm, port, datagrams.length / (MINUTE_MS / 1_000));
  await pause(minuteMs - Date.now());
  const before = await cpuSeconds(collector.pid), warmFlows = await published();
  await sendAtRate(datagrams, port, datagrams.length / (MINUTE_MS / 1_000));
  const deadline = Date.now() + PUBLISH_DEADLINE_MS, dropped = await droppedDatagrams(port);
  while (dropped === 0 && await published() < warmFlows + flows) {
    if (Date.now() > deadline) {
      throw new Error(`Cannot trust the run: ${await published()} of ${flows} events published`);
    }
    await pause(DRAIN_MS);
  }
  const cpuS = await cpuSeconds(collector.pid) - before;
  await stop(collector, warmFlows + flows * (1 - dropped / datagrams.length));
  return { events: flows, dropped, cpuSeconds: cpuS };
}

async function goflow2To(args: readonly string[], load: Load): Promise<Cost> {
  const port = freeUdpPort();
  await using peer = await Peer.start(
    await goflow2(),
    ["-listen", `sflow://127.0.0.1:${port}`, "-format", "bin", "-addr", "", ...args],
    READY_MS,
  );
  return await costOf(peer.pid, port, load);
}

async function goflow2ToKafka(broker: Broker, load: Load): Promise<Cost> {
  const topic = "goflow2", brokers = broker.url(topic).split("/")[2]!;
  const args = [
    "-transport",
    "kafka",
    "-transport.kafka.brokers",
    brokers,
    "-transport.kafka.topic",
    topic,
    "-transport.kafka.compression",
    "zstd",
  ];
  await (await openProducer(`${broker.url(topic)}?partitions=${PARTITIONS}`))[Symbol.asyncDispose]();
  const cost = await goflow2To([...args, "-transport.kafka.flushfreq", "1s"], load);
  await using consumer = await openConsumer(broker.url(topic));
  let stored = 0;
  for (let partition = 0; partition < consumer.partitionCount; partition++) stored += Number((await consumer.offsets(partition)).end);
  // It loses some on the way to the broker, which it does not tell of; only what is stored counts.
  return { ...cost, events: Math.min(cost.events, stored * (1 - WARM_UP)) };
}

async function sfacctdToTable(load: Load): Promise<Cost> {
  const port = freeUdpPort(), config = await Deno.makeTempFile();
  const settings = [
    "plugins: print",
    "aggregate: proto, src_host, dst_host, dst_port",
    "print_output: csv",
    "print_refresh_time: 60",
    "print_cache_entries: 100003",
    "plugin_pipe_size: 67108864",
    "plugin_buffer_size: 65536",
    "sfacctd_pipe_size: 33554432",
  ];
  await Deno.writeTextFile(config, settings.join("\n") + "\n");
  await using peer = await Peer.start("sfacctd", ["-f", config, "-L", "127.0.0.1", "-l", String(port)], READY_MS);
  const plugin = Number((await Deno.readTextFile(`/proc/${peer.pid}/task/${peer.pid}/children`)).trim().split(" ")[0]);
  const before = await cpuSeconds(plugin), cost = await costOf(peer.pid, port, load);
  // Its table is in a process of its own.
  return { ...cost, cpuSeconds: cost.cpuSeconds + (await cpuSeconds(plugin) - before) * (1 - WARM_UP) };
}

const own = {
  events: EVENTS,
  datagrams: makeDatagrams({ flows: EVENTS, conversations: CONVERSATIONS, processes: PROCESSES, interop: false }),
};
const standard = { events: EVENTS, datagrams: makeStandardDatagrams(EVENTS, CONVERSATIONS) };
await using broker = await Broker.start();
const costs: [string, Cost][] = [
  ["table: skyfall, its own records", await skyfallToTable(own)],
  ["table: skyfall, standard samples", await skyfallToTable(standard)],
  ["table: sfacctd, standard samples", await sfacctdToTable(standard)],
  ["nothing stored: goflow2, standard samples", await goflow2To([], standard)],
  ["Kafka: goflow2, standard samples", await goflow2ToKafka(broker, standard)],
  ["Kafka: skyfall, a trace in its own records", await skyfallToKafka(broker)],
];
console.log(`${EVENTS} events of ${CONVERSATIONS} conversations, ${DATAGRAMS_PER_SECOND} datagrams a second over loopback\n`);
console.log(formatTable(
  ["", "events", "datagrams dropped", "CPU s", "M events a CPU s"],
  costs.map((
    [name, { events, dropped, cpuSeconds }],
  ) => [name, events.toFixed(0), dropped, cpuSeconds.toFixed(2), (events / cpuSeconds / 1e6).toFixed(3)]),
));
Deno.exit(0);
