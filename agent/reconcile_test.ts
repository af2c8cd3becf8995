/** Which events stand for which of the kernel's counts, and which namespaces are read. */

import assert from "node:assert/strict";
import { monotonicNs } from "../ffi/libc.ts";
import { EVENT_KIND, type TcpEvent } from "./event.ts";
import type { Counts } from "./namespace_account.ts";
import { NAMESPACES_MAX, parseSnmp, Reconciliation } from "./reconcile.ts";

const OWN = 1;
const ESTABLISHED = 1, SYN_SENT = 2, LAST_ACK = 9, CLOSE_WAIT = 8;

/** A reconciliation whose namespaces count as `kernel` says. */
function reconciliation(kernel: Map<number, Counts | null>): Reconciliation {
  return new Reconciliation(OWN, (namespace) => kernel.get(namespace) ?? null);
}

function event(values: Partial<TcpEvent>): TcpEvent {
  const atNs = monotonicNs();
  return {
    network_namespace: OWN,
    period_start_ktime_ns: atNs,
    ktime_ns: atNs,
    kind: EVENT_KIND.EVENT_SOCKET_ENDED,
    state: LAST_ACK,
    active_open: false,
    opened: false,
    segs_out: 3,
    ...values,
  } as TcpEvent;
}

/** The differences of a namespace as one text a counter. */
function differencesOf(reconciled: Reconciliation, namespace = OWN): number[] {
  return reconciled.differences().filter(({ network_namespace }) => network_namespace === namespace).map(({ present }) => present);
}

Deno.test("Reconciliation counts opens, attempts that sent a SYN, and ends without a FIN as the kernel does", () => {
  const kernel = new Map<number, Counts | null>([[OWN, [10, 20, 30]]]);
  const reconciled = reconciliation(kernel);
  reconciled.meet(new Map());
  const open = { kind: EVENT_KIND.EVENT_SOCKET_LIVE, state: ESTABLISHED, opened: true };
  reconciled.count(event({ ...open, active_open: true })); // a connection that goes on
  reconciled.count(event({ ...open }));
  reconciled.count(event({ ...open, opened: false })); // told before
  reconciled.count(event({ active_open: true, opened: true })); // a short one, from beginning to end
  reconciled.count(event({ active_open: true, state: SYN_SENT, segs_out: 1 })); // refused
  reconciled.count(event({ active_open: true, state: SYN_SENT, segs_out: 0 })); // no port was free
  reconciled.count(event({ state: ESTABLISHED }));
  reconciled.count(event({ state: CLOSE_WAIT }));
  reconciled.count(event({ network_namespace: 99, opened: true })); // not known
  kernel.set(OWN, [13, 21, 32]);
  reconciled.read();
  assert.deepEqual(differencesOf(reconciled), [0, 0, 0], "no walk is over yet");
  kernel.set(OWN, [13, 21, 33]);
  reconciled.read();
  reconciled.walked();
  assert.deepEqual(differencesOf(reconciled), [0, 0, 1]);
});

Deno.test("Reconciliation reads namespaces that it meets, forgets those that end, and keeps what they missed", () => {
  const kernel = new Map<number, Counts | null>([[OWN, [0, 0, 0]], [2, [5, 5, 5]]]);
  const reconciled = reconciliation(kernel);
  reconciled.meet(new Map([[2, 200], [3, 300]]));
  assert.deepEqual(reconciled.totals().network_namespaces_left_out, 1, "3 cannot be read");
  kernel.set(2, [6, 7, 5]);
  for (let i = 0; i < 20; i++) {
    reconciled.read();
    reconciled.walked();
  }
  assert.deepEqual(differencesOf(reconciled, 2), [1, 2, 0]);
  kernel.set(2, null);
  for (let i = 0; i < 20; i++) reconciled.read();
  const { network_namespaces, active_opens_difference, active_opens_persistent_difference, passive_opens_persistent_difference } =
    reconciled.totals();
  assert.deepEqual(
    [network_namespaces, active_opens_difference, active_opens_persistent_difference, passive_opens_persistent_difference],
    [1, 0, 1, 2],
  );
});

Deno.test("Reconciliation begins anew after connections were left out, and keeps what was missed before", () => {
  const kernel = new Map<number, Counts | null>([[OWN, [0, 0, 0]]]);
  const reconciled = reconciliation(kernel);
  reconciled.meet(new Map());
  kernel.set(OWN, [3, 0, 0]);
  for (let i = 0; i < 20; i++) {
    reconciled.read();
    reconciled.walked();
  }
  reconciled.suspend();
  assert.deepEqual(reconciled.differences(), []);
  kernel.set(OWN, [5_000, 5_000, 5]);
  reconciled.read();
  reconciled.walked();
  assert.deepEqual(differencesOf(reconciled), [0, 0, 0]);
  assert.equal(reconciled.totals().active_opens_persistent_difference, 3);
});

Deno.test("Reconciliation begins anew where a namespace has the number of an earlier one", () => {
  const kernel = new Map<number, Counts | null>([[OWN, [0, 0, 0]], [2, [500, 500, 5]]]);
  const reconciled = reconciliation(kernel);
  reconciled.meet(new Map([[2, 200]]));
  kernel.set(2, [3, 4, 0]);
  reconciled.read();
  kernel.set(2, [4, 4, 0]);
  reconciled.count(event({ network_namespace: 2, active_open: true, opened: true }));
  reconciled.read();
  reconciled.walked();
  assert.deepEqual(differencesOf(reconciled, 2), [0, 0, 0]);
});

Deno.test("Reconciliation has a bound of namespaces, and says how many it leaves out", () => {
  const many = Array.from({ length: NAMESPACES_MAX + 5 }, (_, i) => 1_000 + i);
  const reconciled = reconciliation(new Map([OWN, ...many].map((namespace) => [namespace, [0, 0, 0]])));
  reconciled.meet(new Map(many.map((namespace) => [namespace, 1])));
  const { network_namespaces, network_namespaces_left_out } = reconciled.totals();
  assert.deepEqual([network_namespaces, network_namespaces_left_out], [NAMESPACES_MAX, 6]);
});

Deno.test("parseSnmp() finds the counts by their names, and refuses a file without them", () => {
  const text = "Ip: Forwarding\nIp: 1\nTcp: MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets\nTcp: -1 10 9 8 7\nUdp: A\nUdp: 1\n";
  assert.deepEqual(parseSnmp(text), [10, 9, 7]);
  assert.throws(() => parseSnmp("Tcp: ActiveOpens\nTcp: 1\n"), /PassiveOpens is undefined/);
});
