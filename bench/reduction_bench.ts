/** Rows that leave the collector against rows by 5-tuple, on a trace with the article's proportions (article_trace.ts). */

import { FlowTable } from "../collector/aggregate.ts";
import { FlowFlusher } from "../collector/flush.ts";
import { IdentityTable } from "../collector/identities.ts";
import { traceMinute } from "./article_trace.ts";
import { FlowEventBuffer } from "./flow_event.ts";
import { formatTable } from "./table.ts";

const MINUTES = 3;
const MINUTE_US = 60_000_000;
/** What the article says: events a second in, messages a second out, and how many fewer those are than by 5-tuple. */
const ARTICLE = { events: 12e6, messages: 1.4e6, reduction: 0.7 };

const PARTITIONS = 8;
const table = new FlowTable(1 << 20, 60, PARTITIONS), identities = new IdentityTable(), event = new FlowEventBuffer();
let rows = 0, bytes = 0;
const flusher = new FlowFlusher(table, identities, 60, PARTITIONS, {
  format: "arrow",
  takeLosses: () => [],
  isBlocked: () => false,
  onMessages: (messages) => {
    for (const message of messages) {
      rows += message.rows;
      bytes += message.value.length;
    }
  },
});
let events = 0, fiveTuples = 0, fourTuples = 0;
const firstMinute = Math.floor(Date.now() / 60_000) + 1;
for (let minute = 0; minute < MINUTES; minute++) {
  const five = new Set<string>(), four = new Set<string>();
  const all = [...traceMinute(minute + 1, (firstMinute + minute) * MINUTE_US)].sort((a, b) => a.startUnixUs - b.startUnixUs);
  for (const fields of all) {
    const agent = new DataView(new ArrayBuffer(4));
    agent.setUint32(0, fields.isServer ? fields.server : fields.client);
    const identity = identities.host(agent, 0, 0, 0, 4);
    event.set(fields);
    table.add(event.view, 0, identities.get(identity).group, identity);
    flusher.flushDue(fields.startUnixUs / 1_000);
    const key = `${fields.isServer}/${fields.client}/${fields.server}/${fields.serverPort}`;
    four.add(key);
    five.add(`${key}/${fields.clientPort}`);
  }
  events += all.length;
  fiveTuples += five.size;
  fourTuples += four.size;
}
flusher.flushDue((firstMinute + MINUTES + 1) * 60_000);
flusher.flushAll();

const perEvent = (count: number) => (events / count).toFixed(2);
console.log(formatTable(["", "rows", "events a row", "fewer than by 5-tuple"], [
  ["5-tuple, a minute and reporter", fiveTuples, perEvent(fiveTuples), ""],
  ["4-tuple, the least there can be", fourTuples, perEvent(fourTuples), `${(100 * (1 - fourTuples / fiveTuples)).toFixed(1)} %`],
  ["skyfall, published", rows, perEvent(rows), `${(100 * (1 - rows / fiveTuples)).toFixed(1)} %`],
  [
    "the article",
    "",
    (ARTICLE.events / ARTICLE.messages).toFixed(2),
    `${100 * ARTICLE.reduction} % (${(ARTICLE.events / (ARTICLE.messages / (1 - ARTICLE.reduction))).toFixed(2)} events a 5-tuple)`,
  ],
]));
console.log(`\n${events} events of ${MINUTES} minutes, both ends reporting; ${(bytes / rows).toFixed(0)} bytes a row before compression`);
Deno.exit(0);
