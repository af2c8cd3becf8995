/** The receive stage alone: datagrams a second that one worker takes out of its socket, with every sender and time looked at. */

import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { compiled } from "./load.ts";
import { outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

const ROUNDS = 9, SEND_SECONDS = 0.5;
const TEXT = "127.0.0.1:0";

/** Has a socket's receive buffer filled, then empties it; the sender no longer takes processor time by then. */
async function datagramsPerSecond(sender: string, bytes: number): Promise<number> {
  using receiver = UdpReceiver.bind(parseHostPort(TEXT).address, 0, true, TEXT);
  const sent = Number(await outputOf(sender, String(receiver.port), String(bytes), String(SEND_SECONDS)));
  const source = new Uint32Array(4), startMs = performance.now();
  let received = 0, read = 0, endMs = startMs;
  for (let count = 1; count > 0;) {
    count = receiver.receive();
    received += count;
    for (let i = 0; i < count; i++) {
      receiver.copySource(i, source);
      read += receiver.view.getUint32(i * SLOT_BYTES) + receiver.bytes(i) + source[3]! + receiver.receivedUnixMs(i);
    }
    if (count > 0) endMs = performance.now(); // the last call waits for more
  }
  if (read === 0 || received + receiver.droppedDatagrams !== sent) {
    throw new Error(`Cannot trust the run: ${sent} sent, ${received} received, ${receiver.droppedDatagrams} dropped`);
  }
  return received / ((endMs - startMs) / 1_000);
}

const sender = await compiled("datagrams");
const rows: (readonly (string | number)[])[] = [];
for (const bytes of [200, 1_400]) {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) rates.push(await datagramsPerSecond(sender, bytes));
  rates.sort((a, b) => a - b);
  rows.push([bytes, ...[ROUNDS >> 1, 0, ROUNDS - 1].map((place) => rates[place]!.toFixed(0))]);
}
console.log(`datagrams a second out of a full socket, one worker, ${ROUNDS} rounds; needed 500,000\n`);
console.log(formatTable(["bytes", "median", "least", "most"], rows));
