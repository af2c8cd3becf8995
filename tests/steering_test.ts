/** From two hosts' agents to two workers: every worker has work, and both ends of a conversation meet in one. */

import assert from "node:assert/strict";
import { LanedEncoder } from "../agent/lanes.ts";
import { makeFlow } from "../agent/testdata/flow.ts";
import { CollectorSockets } from "../collector/sockets.ts";
import { DatagramSender } from "../ffi/libc.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { UdpSocket } from "../ffi/libc_udp_socket.ts";
import { parseAddress, parseHostPort } from "../lib/ip_address.ts";
import { LANES_DEFAULT } from "../lib/lanes.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";

const CONVERSATIONS = 200;
const HERE = parseAddress("10.0.0.1"), THERE = parseAddress("10.0.0.2");

function encoder(agentAddress: Uint8Array): LanedEncoder {
  const host = { host_id: new Uint8Array(16), boot_id: new Uint8Array(16), host_name: "" };
  return new LanedEncoder({ agentAddress, host, enterprise: DEFAULT_ENTERPRISE, interop: false, key: null }, LANES_DEFAULT);
}

/** Service ports of the flows in a datagram of one flow sample without processes. */
function servicePorts(view: DataView, flowCount: number, end: "local_port" | "remote_port"): number[] {
  const bytes = 8 + SKYFALL_FLOW.fixedSize, first = view.byteLength - flowCount * bytes;
  return Array.from({ length: flowCount }, (_, i) => view.getUint32(first + i * bytes + 8 + SKYFALL_FLOW.fields[end].offset));
}

Deno.test("two workers share the load of one agent, and both ends of each conversation come to the same one", () => {
  const text = "127.0.0.1:0", listen = parseHostPort(text);
  using sockets = new CollectorSockets({ listen, listenText: text, workers: 2, takeOver: false });
  const workers = sockets.sockets.map(({ fd }) => new UdpReceiver(UdpSocket.of(fd)));
  const [client, server] = [encoder(HERE), encoder(THERE)];
  for (let port = 1; port <= CONVERSATIONS; port++) {
    client.add(makeFlow({ local_address: HERE, remote_address: THERE, local_port: 40_000, remote_port: port, role: 1 }));
    server.add(makeFlow({ local_address: THERE, remote_address: HERE, local_port: port, remote_port: 40_000, role: 2 }));
  }
  const workersOf = ["remote_port", "local_port"].map((end, i) => {
    using sender = new DatagramSender(listen.address, sockets.port, true);
    const counts = new Map<string, number>();
    for (const { bytes, flowCount } of [client, server][i]!.flush(1, { otherDrops: 0, unsentOf: () => 0 }, true)) {
      assert.equal(sender.send(bytes), 0);
      counts.set(bytes.toHex(), flowCount);
    }
    const workerOf = new Map<number, number>();
    for (const [place, worker] of workers.entries()) {
      for (let count = 1; count > 0;) {
        count = worker.receive();
        for (let d = 0; d < count; d++) {
          const bytes = new Uint8Array(worker.view.buffer, d * SLOT_BYTES, worker.bytes(d));
          const view = new DataView(worker.view.buffer, d * SLOT_BYTES, worker.bytes(d));
          for (const port of servicePorts(view, counts.get(bytes.toHex())!, end as "local_port")) workerOf.set(port, place);
        }
      }
    }
    return workerOf;
  });
  const [clients, servers] = workersOf;
  assert.equal(clients!.size, CONVERSATIONS);
  for (let port = 1; port <= CONVERSATIONS; port++) assert.equal(clients!.get(port), servers!.get(port), `port ${port}`);
  const first = [...clients!.values()].filter((place) => place === 0).length;
  assert.ok(first > CONVERSATIONS / 4 && first < CONVERSATIONS * 3 / 4, `${first} of ${CONVERSATIONS} at the first worker`);
});
