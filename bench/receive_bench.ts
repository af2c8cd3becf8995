/** Receiving alone: datagrams a CPU second that one worker takes out of its socket, and that it admits, with and without signatures. */

import process from "node:process";
import { Admission, DEFAULT_ALLOWED } from "../collector/admission.ts";
import { openHmacSha256 } from "../ffi/libcrypto.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { AUTHENTICATION_BYTES, DatagramSigner, SharedKey } from "../lib/sflow/authentication.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { compiled } from "./load.ts";
import { outputOf } from "./processes.ts";
import { formatTable } from "./table.ts";

const ROUNDS = 9, SEND_SECONDS = 0.5;
const TEXT = "127.0.0.1:0";
const SENDERS = 1_000, SIGNED_BYTES = 1_400, PLAIN_COUNT = 100_000, SIGNED_COUNT = 20_000;

/** Has a socket's receive buffer filled, then empties it; the sender no longer takes processor time by then. */
async function datagramsPerCpuSecond(sender: string, bytes: number): Promise<number> {
  using receiver = UdpReceiver.bind(parseHostPort(TEXT).address, 0, true, TEXT);
  const sent = Number(await outputOf(sender, String(receiver.port), String(bytes), String(SEND_SECONDS)));
  const source = new Uint32Array(4), startMs = cpuMs();
  let received = 0, read = 0, endMs = startMs;
  for (let count = 1; count > 0;) {
    count = receiver.receive();
    received += count;
    for (let i = 0; i < count; i++) {
      receiver.copySource(i, source);
      read += receiver.view.getUint32(i * SLOT_BYTES) + receiver.bytes(i) + source[3]! + receiver.receivedUnixMs(i);
    }
    if (count > 0) endMs = cpuMs(); // the last call waits for more
  }
  if (read === 0 || received + receiver.droppedDatagrams !== sent) {
    throw new Error(`Cannot trust the run: ${sent} sent, ${received} received, ${receiver.droppedDatagrams} dropped`);
  }
  return received / ((endMs - startMs) / 1_000);
}

/** Microseconds that a worker takes to admit a datagram of one of many senders. */
function admissionUs(key: SharedKey | null, count: number): number {
  const keys = key === null ? [] : [key];
  const admission = new Admission({ allowed: DEFAULT_ALLOWED, sourceLimit: count, keys, enterprise: DEFAULT_ENTERPRISE });
  const signer = key === null ? null : new DatagramSigner(key, DEFAULT_ENTERPRISE, Date.now() * 1_000);
  const datagrams = Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(SIGNED_BYTES), plain = SIGNED_BYTES - AUTHENTICATION_BYTES;
    const words = [5, 1, 0x0a00_0000 + i % SENDERS, 0, i + 1, 1_000, 0];
    words.forEach((word, at) => new DataView(bytes.buffer).setUint32(4 * at, word));
    signer?.sign(bytes, plain, 24, Date.now() * 1_000);
    return bytes;
  });
  const source = Uint32Array.of(0, 0, 0xffff, 0), startMs = cpuMs(), nowMs = Date.now();
  let admitted = 0;
  for (const [i, bytes] of datagrams.entries()) {
    source[3] = 0x0a00_0000 + i % SENDERS;
    if (admission.admits(source, bytes, 0, bytes.length, nowMs)) admitted++;
  }
  if (admitted !== count) throw new Error(`Cannot trust the run: ${admitted} of ${count} admitted`);
  return (cpuMs() - startMs) * 1_000 / count;
}

/** Processor time of this process: what others do on the machine is not in it. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const sender = await compiled("datagrams");
const rows: (readonly (string | number)[])[] = [];
for (const bytes of [200, 1_400]) {
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) rates.push(await datagramsPerCpuSecond(sender, bytes));
  rates.sort((a, b) => a - b);
  rows.push([bytes, ...[ROUNDS >> 1, 0, ROUNDS - 1].map((place) => rates[place]!.toFixed(0))]);
}
console.log(`datagrams a CPU second out of a full socket, one worker, ${ROUNDS} rounds; needed 500,000\n`);
console.log(formatTable(["bytes", "median", "least", "most"], rows));

const secret = new Uint8Array(32).fill(1), hmac = openHmacSha256();
const ways = [
  ["without signatures", PLAIN_COUNT, null],
  ["with, by the runtime", SIGNED_COUNT, new SharedKey(secret)],
  ...hmac === null ? [] : [["with, by libcrypto", SIGNED_COUNT, new SharedKey(secret, hmac)] as const],
] as const;
for (const [name, count, of] of ways) {
  const times = Array.from({ length: ROUNDS }, () => admissionUs(of, count));
  console.log(
    `\nadmitted ${name}: ${median(times).toFixed(2)} us of CPU a datagram of ${SIGNED_BYTES} bytes (least ${
      Math.min(...times).toFixed(2)
    })`,
  );
}
