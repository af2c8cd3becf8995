/** Publishes until it is killed, and writes a byte to stdout for each message that was acknowledged. */

import { openProducer } from "../open.ts";

await using producer = await openProducer(Deno.args[0]!);
for (;;) {
  await producer.publish([{ partition: 0, value: new Uint8Array(100) }]);
  Deno.stdout.writeSync(new Uint8Array(1));
}
