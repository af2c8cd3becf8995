/** Who listens where. */

import assert from "node:assert/strict";
import type { TcpEvent } from "./event.ts";
import { type ListenerReport, ListenerTable } from "./listeners.ts";

const ANY = new Uint8Array(16);
const ANY_IPV4 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0);
const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1);

function listening(cookie: number, address: Uint8Array, namespace = 1): TcpEvent {
  return { socket_cookie: cookie, local_address: address, local_port: 80, network_namespace: namespace } as TcpEvent;
}

Deno.test("ListenerTable finds a socket bound to every address, of both families", () => {
  for (const any of [ANY, ANY_IPV4]) {
    const table = new ListenerTable();
    table.add(listening(1, any), null, 5);
    assert.notEqual(table.find(1, LOOPBACK, 80), null);
  }
});

Deno.test("ListenerTable tells addresses, ports and network namespaces apart", () => {
  const table = new ListenerTable();
  table.add(listening(1, LOOPBACK), null, 5);
  const other = LOOPBACK.with(15, 2);
  assert.deepEqual([table.find(1, other, 80), table.find(1, LOOPBACK, 81), table.find(2, LOOPBACK, 80)], [null, null, null]);
  assert.equal(table.find(1, LOOPBACK, 80)?.address, LOOPBACK);
});

Deno.test("ListenerTable keeps a port until the last of its sockets is closed", () => {
  const table = new ListenerTable();
  table.add(listening(1, ANY), null, 5);
  table.add(listening(2, ANY), null, 5);
  table.remove(listening(1, ANY), 7);
  assert.notEqual(table.find(1, LOOPBACK, 80), null);
  table.remove(listening(2, ANY), 7);
  assert.equal(table.find(1, LOOPBACK, 80), null);
});

Deno.test("ListenerTable tells what began and ended to listen once, and everything when asked for all", () => {
  const table = new ListenerTable();
  const told = (reports: readonly ListenerReport[]) =>
    reports.map((r) => [r.network_namespace, r.first_seen_unix_us, r.last_seen_unix_us, r.listening]);
  table.add(listening(1, ANY, 1), null, 5);
  table.add(listening(2, ANY, 2), null, 6);
  assert.deepEqual(told(table.takeChanges()), [[1, 5, 5, true], [2, 6, 6, true]]);
  table.remove(listening(1, ANY, 1), 7);
  table.remove(listening(3, ANY, 3), 7);
  assert.deepEqual(told(table.takeAll(9)), [[1, 5, 7, false], [2, 6, 9, true]]);
  assert.deepEqual(told(table.takeChanges()), []);
});
