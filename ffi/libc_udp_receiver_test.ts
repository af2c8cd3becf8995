/** The receiver tells of each datagram who sent it and when, and of its socket every drop. */

import assert from "node:assert/strict";
import { formatAddress, parseAddress } from "../lib/ip_address.ts";
import { DatagramSender } from "./libc.ts";
import { BATCH_DATAGRAMS, SLOT_BYTES, UdpReceiver } from "./libc_udp_receiver.ts";

const LARGEST = 65_507, LARGEST_IPV6 = 65_527;

function sendTo(address: string, port: number, ...datagrams: Uint8Array<ArrayBuffer>[]): void {
  using sender = new DatagramSender(parseAddress(address), port, !address.includes(":"));
  for (const datagram of datagrams) assert.equal(sender.send(datagram), 0);
}

function sourceOf(receiver: UdpReceiver, index: number): string {
  const words = new Uint32Array(4), view = new DataView(new ArrayBuffer(16));
  receiver.copySource(index, words);
  words.forEach((word, i) => view.setUint32(4 * i, word));
  return formatAddress(new Uint8Array(view.buffer));
}

Deno.test("UdpReceiver on :: takes IPv6 and IPv4, and tells both senders", () => {
  using receiver = UdpReceiver.bind(parseAddress("::"), 0, false, "[::]:0");
  sendTo("127.0.0.1", receiver.port, new Uint8Array(3));
  sendTo("::1", receiver.port, new Uint8Array(4));
  assert.equal(receiver.receive(), 2);
  assert.deepEqual([0, 1].map((i) => [sourceOf(receiver, i), receiver.bytes(i)]), [["127.0.0.1", 3], ["::1", 4]]);
});

Deno.test("UdpReceiver on an IPv4 address tells the sender as mapped", () => {
  using receiver = UdpReceiver.bind(parseAddress("127.0.0.2"), 0, true, "127.0.0.2:0");
  sendTo("127.0.0.2", receiver.port, new Uint8Array(1));
  assert.equal(receiver.receive(), 1);
  assert.equal(sourceOf(receiver, 0), "127.0.0.1");
});

Deno.test("UdpReceiver takes the largest datagrams whole, in every place of a batch", () => {
  using receiver = UdpReceiver.bind(parseAddress("::"), 0, false, "[::]:0");
  const sent = Array.from({ length: BATCH_DATAGRAMS }, (_, i) => new Uint8Array(i % 2 === 0 ? LARGEST : LARGEST - i).fill(i + 1));
  sendTo("127.0.0.1", receiver.port, ...sent);
  sendTo("::1", receiver.port, new Uint8Array(LARGEST_IPV6));
  assert.equal(receiver.receive(), BATCH_DATAGRAMS);
  for (const [i, datagram] of sent.entries()) {
    const got = new Uint8Array(receiver.view.buffer, i * SLOT_BYTES, receiver.bytes(i));
    assert.ok(got.length === datagram.length && got[0] === i + 1 && got.at(-1) === i + 1 && !receiver.isTruncated(i));
  }
  assert.deepEqual([receiver.receive(), receiver.bytes(0), receiver.isTruncated(0)], [1, LARGEST_IPV6, false]);
});

Deno.test("UdpReceiver tells when the kernel took a datagram in, not when it was read", async () => {
  using receiver = UdpReceiver.bind(parseAddress("127.0.0.1"), 0, true, "127.0.0.1:0");
  // The kernel begins to stamp datagrams a moment after the first socket asks for it.
  for (let tries = 20;; tries--) {
    const beforeMs = Date.now();
    sendTo("127.0.0.1", receiver.port, new Uint8Array(1));
    const afterMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(receiver.receive(), 1);
    const atMs = receiver.receivedUnixMs(0), isThen = atMs >= beforeMs && atMs <= afterMs + 1;
    if (isThen) return;
    assert.ok(tries > 0, `${atMs} is not between ${beforeMs} and ${afterMs}`);
  }
});

Deno.test("UdpReceiver counts every datagram that its socket had no room for, also behind the last that came", () => {
  using receiver = UdpReceiver.bind(parseAddress("127.0.0.1"), 0, true, "127.0.0.1:0");
  const datagram = new Uint8Array(60_000), sent = 4_000;
  sendTo("127.0.0.1", receiver.port, ...Array(sent).fill(datagram));
  let received = 0;
  for (let count = 1; count > 0; received += count) count = receiver.receive();
  assert.ok(receiver.droppedDatagrams > 0);
  assert.equal(received + receiver.droppedDatagrams, sent);
});
