/**
 * Publishes numbered messages through a spool until it is killed: `spooling_program.ts TOPIC_URL SPOOL FIRST COUNT`. Whenever it
 * knows that messages would outlive it, it says how many of its own those are.
 */

import { Publisher } from "../publish.ts";
import { Spool } from "../spool.ts";
import { openTopic } from "../topic_access.ts";

const PARTITIONS = 3;
const MESSAGE_BYTES = 100_000;
/** Messages added at once, so that writes of all sizes are cut. */
const TOGETHER_MAX = 7;

if (import.meta.main) {
  const [url, directory, first, count] = Deno.args;
  const spool = await Spool.open(directory!, 1 << 30);
  const publisher = new Publisher(await openTopic(url!, PARTITIONS), spool, () => {});
  const output = Deno.stdout;
  for (let added = 0; added < Number(count);) {
    const together = Math.min(1 + added % TOGETHER_MAX, Number(count) - added);
    publisher.add(Array.from({ length: together }, (_, i) => {
      const number = Number(first) + added + i, value = new Uint8Array(MESSAGE_BYTES);
      new DataView(value.buffer).setUint32(0, number);
      return { partition: number % PARTITIONS, value, rows: 1, events: 1 };
    }));
    added += together;
    await new Promise((resolve) => setTimeout(resolve, 1));
    await output.write(new TextEncoder().encode(`${added - publisher.waiting().events}\n`));
  }
  await publisher.finish();
  await output.write(new TextEncoder().encode(`${Number(count) - publisher.waiting().events}\n`));
  await spool[Symbol.asyncDispose]();
}
