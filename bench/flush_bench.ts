/**
 * A million conversations a minute leave one worker for a real broker: how long after their time the topic has them, how even the
 * output is, and what the process holds in memory.
 */

import { RunningTask } from "../tests/command.ts";
import { Broker } from "../tools/kafka.ts";
import { cpuSeconds, pause, residentBytes } from "./processes.ts";
import { makeDatagrams, sendAtRate } from "./sflow_load.ts";
import { formatTable } from "./table.ts";

const KEYS = 1_000_000, PROCESSES = 50, TABLE_ROWS = 1_500_000, PARTITIONS = 8;
const WINDOW_S = 60, ROUNDS = 2, LOOK_MS = 1_000;

await using broker = await Broker.start();
const collector = await RunningTask.start("collector", [
  ...["run", "--listen", "127.0.0.1:0", "--workers", "1", "--table-rows", String(TABLE_ROWS), "--metrics-listen", "127.0.0.1:0"],
  ...["--window-s", String(WINDOW_S), "--topic", `${broker.url("flush")}?partitions=${PARTITIONS}`],
]);
const { port } = JSON.parse(await collector.line("listening"));
const metricsAt = `http://127.0.0.1:${JSON.parse(await collector.line("serving metrics")).port}/metrics`;
const idleBytes = await residentBytes(collector.pid);
const datagrams = makeDatagrams({ flows: KEYS, conversations: KEYS, processes: PROCESSES, interop: false, everyConversation: true });

const text = await (async () => {
  let last = "";
  const rowsASecond: number[] = [];
  let before = 0, most = 0, mostBytes = 0, isSending = true;
  const start = await cpuSeconds(collector.pid), startMs = performance.now();
  const sending = (async () => {
    for (let round = 0; round < ROUNDS; round++) {
      // Each round is the next datagrams of the same streams.
      for (const view of datagrams.map((bytes) => new DataView(bytes.buffer))) {
        view.setUint32(16, view.getUint32(16) + (round === 0 ? 0 : datagrams.length));
      }
      await sendAtRate(datagrams, port, datagrams.length / WINDOW_S);
    }
    isSending = false;
  })();
  while (isSending) {
    await pause(LOOK_MS);
    last = await (await fetch(metricsAt)).text();
    const rows = value(last, "skyfall_collector_rows_published_total");
    most = Math.max(most, value(last, 'skyfall_collector_table_rows{worker="0"}'));
    mostBytes = Math.max(mostBytes, await residentBytes(collector.pid));
    if (performance.now() - startMs > WINDOW_S * 1_000) rowsASecond.push(rows - before);
    before = rows;
  }
  await sending;
  const cpu = (await cpuSeconds(collector.pid) - start) / ((performance.now() - startMs) / 1_000);
  rowsASecond.sort((a, b) => a - b);
  const quantile = (q: string) => `${(1_000 * value(last, `skyfall_collector_flush_delay_seconds{quantile="${q}"}`)).toFixed(0)} ms`;
  return formatTable(["", ""], [
    ["live rows, at most", most],
    ["delay from due to acknowledged: median", quantile("0.5")],
    ["p99", quantile("0.99")],
    ["greatest", quantile("1")],
    ["rows a second: least, median, most", [0, 0.5, 1].map((q) => rowsASecond[Math.floor(q * (rowsASecond.length - 1))]).join(", ")],
    ["processor", `${(100 * cpu).toFixed(0)} % of a core`],
    ["memory: idle, at most", `${(idleBytes / 1e6).toFixed(0)} MB, ${(mostBytes / 1e6).toFixed(0)} MB`],
    [
      "lost before the topic",
      value(last, "skyfall_collector_events_given_up_total") + value(last, "skyfall_collector_socket_dropped_datagrams_total"),
    ],
  ]);
})();
collector.kill("SIGTERM");
const { ledger } = JSON.parse(await collector.line('"stopped"'));
console.log(text);
console.log(`ledger: ${ledger.flow_records_received} received, ${ledger.events_published} published, balance ${ledger.balance}`);
Deno.exit(ledger.balance === 0 ? 0 : 1);

function value(metrics: string, name: string): number {
  const line = metrics.split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
