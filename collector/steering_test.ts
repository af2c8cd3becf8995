/** The kernel gives datagrams to the workers that the program names. */

import assert from "node:assert/strict";
import { DatagramSender } from "../ffi/libc.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseAddress } from "../lib/ip_address.ts";
import { laneSubAgent } from "../lib/lanes.ts";
import { steeringProgram } from "./steering.ts";
import { datagram } from "./testdata/datagram.ts";

const LOOPBACK = parseAddress("127.0.0.1");
const IPV6_AGENT = parseAddress("2001:db8::1");

/** Sockets on one port; they are closed in order. */
function bindAll(count: number): UdpReceiver[] {
  const first = UdpReceiver.bind(LOOPBACK, 0, true, "127.0.0.1:0");
  return [first, ...Array.from({ length: count - 1 }, () => UdpReceiver.bind(LOOPBACK, first.port, true, "127.0.0.1"))];
}

/** Place of the socket that gets each of the datagrams, all different and all from one sender; -1 where none does. */
function placesOf(receivers: readonly UdpReceiver[], datagrams: readonly Uint8Array<ArrayBuffer>[]): number[] {
  using sender = new DatagramSender(LOOPBACK, receivers[0]!.port, true);
  for (const bytes of datagrams) assert.equal(sender.send(bytes), 0);
  const places = new Map<string, number>();
  for (const [place, receiver] of receivers.entries()) {
    for (let count = 1; count > 0;) {
      count = receiver.receive();
      for (let i = 0; i < count; i++) {
        places.set(new Uint8Array(receiver.view.buffer, i * SLOT_BYTES, receiver.bytes(i)).toHex(), place);
      }
    }
  }
  return datagrams.map((bytes) => places.get(bytes.toHex()) ?? -1);
}

function closeAll(receivers: readonly UdpReceiver[]): void {
  for (const receiver of receivers) receiver[Symbol.dispose]();
}

Deno.test("steeringProgram() sends each lane to its worker, whoever sends it from wherever", () => {
  const receivers = bindAll(3);
  receivers[0]!.socket.steer(steeringProgram(3, 0));
  for (const agent of [Uint8Array.of(10, 0, 0, 1), Uint8Array.of(10, 9, 8, 7), IPV6_AGENT]) {
    const lanes = Array.from({ length: 8 }, (_, lane) => datagram([], { agent, subAgent: laneSubAgent(lane, 8) }));
    assert.deepEqual(placesOf(receivers, lanes), [0, 1, 2, 0, 1, 2, 0, 1]);
  }
  closeAll(receivers);
});

Deno.test("steeringProgram() gives every worker agents where there are more workers than lanes, and each agent's lanes to different ones", () => {
  const receivers = bindAll(5), lanes = 2;
  receivers[0]!.socket.steer(steeringProgram(5, 0));
  const agents = Array.from({ length: 50 }, (_, i) => Uint8Array.of(10, 0, i >> 2, i));
  const datagrams = agents.flatMap((agent) => [0, 1].map((lane) => datagram([], { agent, subAgent: laneSubAgent(lane, lanes) })));
  const places = placesOf(receivers, datagrams);
  for (let i = 0; i < places.length; i += lanes) assert.notEqual(places[i], places[i + 1]);
  for (let place = 0; place < 5; place++) {
    const count = places.filter((other) => other === place).length;
    assert.ok(count > 10 && count < 32, `${count} of 100 at ${place}`);
  }
  closeAll(receivers);
});

Deno.test("steeringProgram() sends a stream of another agent always to one worker, and many streams to all", () => {
  const receivers = bindAll(2);
  receivers[0]!.socket.steer(steeringProgram(2, 0));
  const streams = Array.from({ length: 200 }, (_, i) => {
    const agent = i % 2 === 0 ? Uint8Array.of(10, 0, 0, i >> 1) : parseAddress(`2001:db8::${i}`);
    return datagram([], { agent, subAgent: i % 3 });
  });
  const places = placesOf(receivers, streams);
  assert.deepEqual(placesOf(receivers, streams), places);
  const first = places.filter((place) => place === 0).length;
  assert.ok(first > 60 && first < 140, `${first} of 200 at the first`);
  closeAll(receivers);
});

Deno.test("steeringProgram() loses nothing that is no sFlow datagram", () => {
  const receivers = bindAll(2);
  receivers[0]!.socket.steer(steeringProgram(2, 0));
  const foreign = [
    new Uint8Array(0),
    new Uint8Array(3),
    new Uint8Array(100),
    datagram([]).slice(0, 27),
    datagram([], { agent: IPV6_AGENT }).slice(0, 39),
  ];
  assert.ok(placesOf(receivers, foreign).every((place) => place >= 0));
  closeAll(receivers);
});

Deno.test("steeringProgram() begins at a place, and keeps its sockets while others before it are closed", () => {
  const [a, b, c, d, e, f] = bindAll(6); // two old ones, two workers, two fillers
  c!.socket.steer(steeringProgram(2, 2));
  const lanes = [0, 1, 2, 3].map((lane) => datagram([], { subAgent: laneSubAgent(lane, 4) }));
  const workers = [c!, d!];
  assert.deepEqual(placesOf(workers, lanes), [0, 1, 0, 1]);
  b![Symbol.dispose]();
  assert.deepEqual(placesOf(workers, lanes), [0, 1, 0, 1]);
  a![Symbol.dispose]();
  assert.deepEqual(placesOf(workers, [...lanes, new Uint8Array(3)]).map((place) => place >= 0), Array(5).fill(true));
  closeAll([c!, d!, e!, f!]);
});
