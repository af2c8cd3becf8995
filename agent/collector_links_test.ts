/** Several collectors: each lane has its own, and another while that is gone. */

import assert from "node:assert/strict";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { parseKeys, type SharedKey } from "../lib/sflow/authentication.ts";
import { encodeLeave } from "../lib/sflow/leave.ts";
import { CollectorLinks } from "./collector_links.ts";
import type { Datagram } from "./encode.ts";

const LOOPBACK = parseAddress("127.0.0.1");
const LANES = [...Array(16).keys()];

function listen(port = 0): UdpReceiver {
  return UdpReceiver.bind(LOOPBACK, port, true, "127.0.0.1");
}

const address = ({ port }: UdpReceiver) => ({ host: "127.0.0.1", port });
const datagram = (subAgent: number, flowCount = 1): Datagram => ({ bytes: Uint8Array.of(subAgent), subAgent, flowCount });
const datagrams = (lanes = LANES) => lanes.map((lane) => datagram(lane));

function linksTo(...collectors: readonly UdpReceiver[]): Promise<CollectorLinks> {
  return linksWithKey(null, collectors);
}

async function linksWithKey(key: SharedKey | null, collectors: readonly UdpReceiver[]): Promise<CollectorLinks> {
  const links = new CollectorLinks(collectors.map(address), key);
  await links.find(performance.now());
  return links;
}

/** Has a collector tell whoever sent to it to leave, with these keys. */
function sayLeave(collector: UdpReceiver, keys: readonly SharedKey[] = []): void {
  const source = new Uint32Array(4), address = new Uint8Array(16), port = collector.sourcePort(0);
  collector.copySource(0, source);
  for (const [i, word] of source.entries()) new DataView(address.buffer).setUint32(4 * i, word);
  for (const leave of encodeLeave(keys, { address, port }, Date.now() * 1_000)) assert.ok(collector.socket.send(leave, address, port));
}

/** What came, in order. */
function received(receiver: UdpReceiver): number[] {
  const lanes: number[] = [];
  for (let count = 1; count > 0;) {
    count = receiver.receive();
    for (let i = 0; i < count; i++) lanes.push(receiver.view.getUint8(i * SLOT_BYTES));
  }
  return lanes.sort((a, b) => a - b);
}

Deno.test("CollectorLinks sends each lane to one collector, the same whatever the order of the list", async () => {
  using a = listen();
  using b = listen();
  using c = listen();
  using links = await linksTo(a, b, c);
  using others = await linksTo(c, a, b);
  await links.send(datagrams());
  const lanes = [a, b, c].map(received);
  assert.deepEqual(lanes.flat().sort((x, y) => x - y), LANES);
  await others.send(datagrams());
  assert.deepEqual([a, b, c].map(received), lanes);
});

Deno.test("CollectorLinks moves only the lanes of a collector that leaves the list", async () => {
  using a = listen();
  using b = listen();
  using c = listen();
  using links = await linksTo(a, b, c);
  await links.send(datagrams());
  const [ofA, ofB, ofC] = [a, b, c].map(received);
  links.redirect([a, b].map(address));
  await links.send(datagrams());
  const [nowA, nowB] = [a, b].map(received);
  assert.deepEqual([...nowA!, ...nowB!].sort((x, y) => x - y), LANES);
  assert.deepEqual([ofA!.filter((lane) => !nowA!.includes(lane)), ofB!.filter((lane) => !nowB!.includes(lane))], [[], []]);
  assert.ok(ofC !== undefined);
  assert.equal(links.counts.lostDatagrams, 0);
});

Deno.test("CollectorLinks moves lanes on where nobody listens, and back when somebody does", async () => {
  const collectors = [listen(), listen()];
  using links = await linksTo(...collectors);
  await links.send(datagrams());
  const lanes = collectors.map(received);
  const gone = lanes[0]!.length > 0 ? 0 : 1, { port } = collectors[gone]!, stays = collectors[1 - gone]!;
  collectors[gone]![Symbol.dispose]();
  await links.send([datagram(lanes[gone]![0]!)]); // nobody knows yet; the answer comes back with the next
  await links.send(datagrams());
  assert.deepEqual(received(stays), LANES);
  assert.ok(links.counts.refusals >= 1);

  let nowMs = performance.now();
  const probe = () => links.probe(nowMs += 10_000, () => datagram(255, 0));
  for (let i = 0; i < 4; i++) probe();
  await links.send(datagrams());
  assert.deepEqual(received(stays), LANES, "probes were refused");
  using back = listen(port);
  for (let i = 0; i < 3; i++) probe();
  await links.send(datagrams());
  assert.deepEqual(received(back).filter((lane) => lane !== 255), lanes[gone]);
  assert.equal(links.counts.lostDatagrams, 0);
  stays[Symbol.dispose]();
});

Deno.test("CollectorLinks moves the lanes of a collector that leaves, at once and without a loss, and asks it again after 5 s", async () => {
  using a = listen();
  using b = listen();
  using links = await linksTo(a, b);
  await links.send(datagrams());
  const [leaving, stays] = a.receive() > 0 ? [a, b] : [b, a];
  received(stays);
  sayLeave(leaving);
  received(leaving);
  const nowMs = performance.now(), probe = (ms: number) => links.probe(nowMs + ms, () => datagram(255, 0));
  await links.send(datagrams());
  assert.deepEqual([received(leaving), received(stays)], [[], LANES]);
  probe(4_900);
  assert.deepEqual(received(leaving), []);
  probe(5_100);
  assert.deepEqual(received(leaving), [255]);
  probe(7_200);
  await links.send(datagrams());
  assert.ok(received(leaving).length > 1 && received(stays).length < LANES.length, "it is back");
  assert.deepEqual([links.counts.leaves, links.counts.refusals, links.counts.lostDatagrams], [1, 0, 0]);
});

Deno.test("CollectorLinks sends to the collector that left first where all have left", async () => {
  using a = listen();
  using b = listen();
  using links = await linksTo(a, b);
  await links.send(datagrams());
  const [first, second] = a.receive() > 0 ? [a, b] : [b, a];
  sayLeave(first);
  await links.send(datagrams());
  assert.ok(second.receive() > 0);
  sayLeave(second);
  received(first);
  received(second);
  await links.send(datagrams());
  assert.deepEqual([received(first), received(second)], [LANES, []]);
});

Deno.test("CollectorLinks with a key goes on sending to a collector that says without it that it leaves", async () => {
  const [key, other] = parseKeys("correct horse battery staple\nanother horse, another staple");
  using a = listen();
  using b = listen();
  using links = await linksWithKey(key!, [a, b]);
  await links.send(datagrams());
  const leaving = a.receive() > 0 ? a : b;
  sayLeave(leaving);
  sayLeave(leaving, [other!]);
  await links.send([]);
  assert.deepEqual([links.counts.leaves, links.counts.ignoredAnswers], [0, 2]);
  sayLeave(leaving, [other!, key!]);
  await links.send([]);
  assert.deepEqual([links.counts.leaves, links.counts.ignoredAnswers], [1, 3]);
});

Deno.test("CollectorLinks goes on sending to its only collector, which says that it leaves", async () => {
  using a = listen();
  using links = await linksTo(a);
  await links.send(datagrams());
  assert.ok(a.receive() > 0);
  sayLeave(a);
  received(a);
  await links.send(datagrams());
  assert.deepEqual(received(a), LANES);
  assert.deepEqual([links.counts.leaves, links.counts.ignoredAnswers], [0, 1]);
});

Deno.test("CollectorLinks loses no datagram to find out that nobody listens, where an earlier one was refused", async () => {
  const a = listen(), b = listen();
  using links = await linksTo(a, b);
  await links.send(datagrams());
  const [gone, stays] = a.receive() > 0 ? [a, b] : [b, a];
  const lane = gone.view.getUint8(0);
  received(stays);
  gone[Symbol.dispose]();
  await links.send([datagram(lane)]);
  await links.send([]);
  assert.equal(links.counts.refusals, 1);
  stays[Symbol.dispose]();
});

Deno.test("CollectorLinks counts what it could not send, by lane", async () => {
  using links = new CollectorLinks([{ host: "127.0.0.1", port: 1 }], null); // not looked for yet
  await links.send([datagram(1, 3), datagram(2, 4), datagram(1, 5)]);
  assert.deepEqual([links.unsentOf(1), links.unsentOf(2), links.unsentOf(3), links.counts.lostFlows, links.counts.lostDatagrams], [
    8,
    4,
    0,
    12,
    3,
  ]);
});
