/**
 * A broker that is away while 200,000 events a second go on: what is lost, and how quickly the collector catches up.
 *
 * `deno task bench outage [--outage-s N]`
 */

import { parseArgs } from "node:util";
import { Publisher } from "../collector/publish.ts";
import type { RowMessage } from "../collector/rows.ts";
import { Spool } from "../collector/spool.ts";
import { openTopic } from "../collector/topic_access.ts";
import { encodeFlowBatch } from "../lib/flow_batch.ts";
import { flowBatch } from "../lib/testdata/flow_batch.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { Broker } from "../tools/kafka.ts";

const EVENTS_PER_SECOND = 200_000;
/** As the article has it: 12 M events a second become 1.4 M rows. */
const EVENTS_PER_ROW = 8, MESSAGE_ROWS = 2_048;
const PARTITIONS = 4, STEADY_S = 5, STEP_MS = 100, CATCH_UP_S_MAX = 600;
const SPOOL_BYTES_MAX = 32 * 1024 ** 3;

const { values } = parseArgs({ options: { "outage-s": { type: "string", default: "60" } } });
const outageS = Number(values["outage-s"]);

/** Encoded before: what the workers' encoding costs is another bench's. Each copy gets a number, so that doubles are seen. */
const encoded = Array.from({ length: 64 }, (_, seed) => encodeFlowBatch(flowBatch(MESSAGE_ROWS, seed)));

await using broker = await Broker.start();
const url = broker.url("outage", `?partitions=${PARTITIONS}`), directory = await Deno.makeTempDir();
await using topic = await openTopic(url, null);
await using spool = await Spool.open(directory, SPOOL_BYTES_MAX);
const publisher = new Publisher(topic, spool, (blocked) => {
  if (blocked) console.log("more waits in memory than may");
});

let made = 0, debt = 0, isMaking = true;
const making = (async () => {
  for (let lastMs = performance.now(); isMaking;) {
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    const nowMs = performance.now();
    debt += (nowMs - lastMs) / 1_000 * EVENTS_PER_SECOND;
    lastMs = nowMs;
    const messages: RowMessage[] = [];
    for (; debt >= MESSAGE_ROWS * EVENTS_PER_ROW; debt -= MESSAGE_ROWS * EVENTS_PER_ROW) {
      const batch = encoded[made % encoded.length]!, value = new Uint8Array(batch.length + 4);
      value.set(batch);
      new DataView(value.buffer).setUint32(batch.length, made);
      messages.push({ partition: made++ % PARTITIONS, value, rows: MESSAGE_ROWS, events: MESSAGE_ROWS * EVENTS_PER_ROW });
    }
    publisher.add(messages);
  }
})();

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
await pause(STEADY_S);
const startMs = performance.now();
await broker.kill();
await pause(outageS);
const spooledAtEnd = publisher.spooledEvents, spoolBytes = spool.bytes;
await broker.restart();
const backMs = performance.now(), publishedBefore = publisher.counts.events_published;
while (publisher.spooledEvents > 0 || publisher.waiting().events > MESSAGE_ROWS * EVENTS_PER_ROW * 4) {
  await pause(0.1);
  if (performance.now() - backMs > CATCH_UP_S_MAX * 1_000) throw new Error("Cannot catch up");
}
const catchUpS = (performance.now() - backMs) / 1_000, caughtUp = publisher.counts.events_published - publishedBefore;
isMaking = false;
await making;
await publisher.finish();

await using consumer = await openConsumer(broker.url("outage"));
const seen = new Set<number>();
let stored = 0;
for (let partition = 0; partition < PARTITIONS; partition++) {
  const { begin, end } = await consumer.offsets(partition);
  for (let offset = begin; offset < end;) {
    for (const { value, offset: at } of await consumer.read(partition, offset, 16 << 20)) {
      seen.add(new DataView(value.buffer, value.byteOffset + value.length - 4).getUint32(0));
      stored++;
      offset = at + 1n;
    }
  }
}
console.log(
  `broker away for ${((backMs - startMs) / 1_000).toFixed(0)} s at ${EVENTS_PER_SECOND} events/s: ${made} messages made, ${
    made - seen.size
  } lost, ${stored - seen.size} doubled`,
);
console.log(`spooled: ${(spooledAtEnd / 1e6).toFixed(1)} M events, ${(spoolBytes / 1e6).toFixed(0)} MB`);
console.log(
  `caught up in ${catchUpS.toFixed(1)} s: ${(caughtUp / catchUpS / 1e3).toFixed(0)} k events/s, ${
    (caughtUp / catchUpS / EVENTS_PER_SECOND).toFixed(1)
  }x what came in`,
);
if (seen.size !== made || stored !== made) Deno.exit(1);
