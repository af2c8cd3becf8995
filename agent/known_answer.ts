/** Known-answer test: conversations of known bytes on loopback, every field compared with what the kernel itself says. */

import { DatagramSender, readKernelFile, tickUs } from "../ffi/libc.ts";
import { type PairEnd, type PairKind, type TcpInfo, TcpPair } from "../ffi/libc_tcp_pair.ts";
import { formatAddress } from "../lib/ip_address.ts";
import { ATTRIBUTION, EVENT_KIND, type TcpEvent } from "./event.ts";
import type { EventHandlers, KernelPrograms } from "./kernel.ts";

/** One compared field. */
export interface Comparison {
  readonly field: string;
  readonly expected: string | number | boolean;
  readonly actual: string | number | boolean | undefined;
}

const CLIENT_BYTES = 10_000;
const SERVER_BYTES = 3_000;
const KINDS: readonly PairKind[] = ["ipv4", "ipv6", "mapped"];
const ADDRESSES: Readonly<Record<PairKind, string>> = { ipv4: "127.0.0.1", ipv6: "::1", mapped: "127.0.0.1" };
const MAPPED_LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1);
const IPV6_LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
/** Nothing is sent there: connect(2) alone is looked for. */
const DISCARD_PORT = 9;
/** A delayed acknowledgement may change an account between two looks at it; then one looks again. */
const LOOKS_MAX = 20;

/** Connections of each family that are counted. */
const COUNTED = 20;
const COUNTS_MAX = 3;
/** How long the ends of conversations are waited for, and how often they are looked for. */
const ENDS_WAIT_MS = 500, ENDS_LOOK_MS = 1;
const NEVER = new Int32Array(new SharedArrayBuffer(4));
const LOOPBACK_IPV6 = /^0{31}1 /m;
const IF_INET6_BYTES_MAX = 1 << 20;

/** What the kernel programs told of each socket so far: amounts added up, all else as of the last time. */
class Accounts {
  readonly #sockets = new Map<string, TcpEvent>();

  add(event: TcpEvent): void {
    const before = this.#sockets.get(portsOf(event));
    const sums = before === undefined ? {} : Object.fromEntries(AMOUNTS.map((name) => [name, before[name] + event[name]]));
    this.#sockets.set(portsOf(event), { ...event, ...sums });
  }

  of(end: PairEnd, peer: PairEnd): TcpEvent | undefined {
    return this.#sockets.get(portsOf(end, peer));
  }
}

const AMOUNTS = [
  "bytes_sent",
  "bytes_received",
  "bytes_retrans",
  "segs_out",
  "segs_in",
  "total_retrans",
  "lost",
  "reord_seen",
  "busy_ticks",
  "rwnd_limited_ticks",
  "sndbuf_limited_ticks",
] as const satisfies readonly (keyof TcpEvent)[];

/** Gets what the kernel programs tell of others while the test runs. */
export interface Audience extends EventHandlers {
  /** The test's own conversations, which are nobody's to report. */
  readonly onTestEvent: (event: TcpEvent) => void;
}

/** The test at work, and the sockets that are its own. */
interface Trial {
  readonly kernel: KernelPrograms;
  readonly audience: Audience;
  /** Local and remote ports of its sockets, listeners with a remote port of 0. */
  readonly own: Set<string>;
}

/**
 * Holds conversations of each kind with the programs attached, and returns every comparison, also those that agree. The
 * programs' counters are as if these conversations had not been.
 */
export function selfTest(kernel: KernelPrograms, audience: Audience): Comparison[] {
  const kinds = KINDS.filter((kind) => kind === "ipv4" || hasIpv6());
  const families = kinds.filter((kind) => kind !== "mapped");
  const trial = { kernel, audience, own: new Set<string>() };
  return [
    ...kinds.flatMap((kind) => testPair(trial, kind)),
    ...families.flatMap((kind) => testCounts(trial, kind)),
    ...testHooks(kernel, kinds),
  ];
}

function openPair({ own }: Trial, kind: PairKind): TcpPair {
  const pair = new TcpPair(kind);
  own.add(portsOf(pair.client, pair.server)).add(portsOf(pair.server, pair.client)).add(`${pair.server.port} 0`);
  return pair;
}

/** Says which field is wrong first, and how many are; null where all agree. */
export function wrongFields(comparisons: readonly Comparison[]): string | null {
  const wrong = comparisons.filter(({ expected, actual }) => expected !== actual);
  if (wrong.length === 0) return null;
  const { field, expected, actual } = wrong[0]!;
  return `${wrong.length} of ${comparisons.length} fields of its self-test are wrong, first "${field}": ${
    actual ?? "not reported"
  }, needed ${expected}`;
}

/** Whether the loopback interface has its IPv6 address: a kernel may be told to do without. */
function hasIpv6(): boolean {
  const addresses = readKernelFile("/proc/net/if_inet6", IF_INET6_BYTES_MAX);
  return addresses !== null && LOOPBACK_IPV6.test(new TextDecoder().decode(addresses));
}

/** A probe may be passed over, some times in ten thousand calls: what is wrong once is looked at again, what is wrong stays so. */
function testCounts(trial: Trial, kind: PairKind): Comparison[] {
  for (let attempt = 1;; attempt++) {
    const comparisons = countConnections(trial, kind);
    if (comparisons.every(({ expected, actual }) => expected === actual) || attempt === COUNTS_MAX) return comparisons;
  }
}

function countConnections(trial: Trial, kind: PairKind): Comparison[] {
  const ends = new Set<string>();
  for (let i = 0; i < COUNTED; i++) {
    using pair = openPair(trial, kind);
    ends.add(portsOf(pair.client, pair.server)).add(portsOf(pair.server, pair.client));
  }
  const isOwn = (event: TcpEvent) => event.pid === Deno.pid && ends.has(portsOf(event));
  const events = endedEvents(trial, (all) => all.filter(isOwn).length >= ends.size).filter(isOwn);
  const connected = events.filter(({ active_open }) => active_open).length;
  return [
    { field: `${kind} connects`, expected: COUNTED, actual: connected },
    { field: `${kind} accepts`, expected: COUNTED, actual: events.length - connected },
  ];
}

/** Where the calls of hooks are counted, each was called at least as often as this test did; others may have called it too. */
function testHooks(kernel: KernelPrograms, kinds: readonly PairKind[]): Comparison[] {
  if (kernel.hookCounts() === null) return [];
  using _ipv4 = new DatagramSender(MAPPED_LOOPBACK, DISCARD_PORT, true);
  using _ipv6 = hasIpv6() ? new DatagramSender(IPV6_LOOPBACK, DISCARD_PORT, false) : null;
  const families = kinds.includes("ipv6") ? 2 : 1;
  const connections = kinds.length + families * COUNTED;
  const needed: Readonly<Record<string, number>> = {
    tcp_v4_connect: kinds.length - (families - 1) + COUNTED,
    tcp_v6_connect: families === 2 ? 2 + COUNTED : 0,
    inet_csk_accept: connections,
    security_sock_graft: connections,
    ip4_datagram_connect: 1,
    ip6_datagram_connect: families - 1,
  };
  const counts = kernel.hookCounts()!;
  return Object.entries(needed).map(([hook, least]) => ({
    field: `calls of ${hook}, at least`,
    expected: least,
    actual: Math.min(counts[hook]!, least),
  }));
}

/** Ports of a socket and its peer, which tell the sockets of this test apart. */
function portsOf(end: PairEnd | TcpEvent, peer?: PairEnd): string {
  return "port" in end ? `${end.port} ${peer?.port}` : `${end.local_port} ${end.remote_port}`;
}

/** What ended, once it is all that is waited for: on a busy host the kernel brings the last segments a little later. */
function endedEvents({ kernel, audience, own }: Trial, isAll: (events: readonly TcpEvent[]) => boolean): TcpEvent[] {
  const events: TcpEvent[] = [], deadlineMs = performance.now() + ENDS_WAIT_MS;
  for (;;) {
    kernel.drain({
      onTcpEvent: (event) => {
        if (!own.has(portsOf(event))) return audience.onTcpEvent(event);
        const isEnd = event.kind === EVENT_KIND.EVENT_SOCKET_ENDED;
        if (isEnd) events.push(event);
        kernel.discount({ events: 1, opened: isEnd ? 1 : 0, ended: isEnd ? 1 : 0 });
        audience.onTestEvent(event);
      },
      onProcess: (event) => audience.onProcess(event),
    });
    if (isAll(events) || performance.now() >= deadlineMs) return events;
    Atomics.wait(NEVER, 0, 0, ENDS_LOOK_MS);
  }
}

function testPair(trial: Trial, kind: PairKind): Comparison[] {
  let ends: readonly PairEnd[];
  const comparisons: Comparison[] = [], accounts = new Accounts();
  {
    using pair = openPair(trial, kind);
    ends = [pair.client, pair.server];
    pair.transfer(pair.client, pair.server, CLIENT_BYTES);
    comparisons.push(...compareOpen(trial, accounts, pair, kind, "open"));
    pair.transfer(pair.server, pair.client, SERVER_BYTES);
    comparisons.push(...compareOpen(trial, accounts, pair, kind, "later"));
  }
  const isEnd = (i: number) => (event: TcpEvent) => portsOf(event) === portsOf(ends[i]!, ends[1 - i]!);
  const ended = endedEvents(trial, (all) => all.some(isEnd(0)) && all.some(isEnd(1)));
  for (const event of ended) accounts.add(event);
  for (const [i, end] of ends.entries()) {
    const peer = ends[1 - i]!;
    const event = ended.some((e) => portsOf(e) === portsOf(end, peer)) ? accounts.of(end, peer) : undefined;
    comparisons.push(...compareEnded(event, i, peer, end, kind), compareAttribution(event, i, trial.kernel.hookCounts() !== null, kind));
  }
  return comparisons;
}

function endName(index: number): string {
  return index === 0 ? "client" : "server";
}

function compareOpen({ kernel, audience }: Trial, accounts: Accounts, pair: TcpPair, kind: PairKind, moment: string): Comparison[] {
  const ends = [pair.client, pair.server], infos = () => ends.map((end) => pair.info(end));
  for (let look = 1;; look++) {
    const before = infos();
    for (const event of kernel.walkConversation(pair.client.port, pair.server.port)) {
      accounts.add(event);
      audience.onTestEvent(event);
    }
    const settled = JSON.stringify(before) === JSON.stringify(infos());
    if (!settled && look < LOOKS_MAX) continue;
    return ends.flatMap((end, i) => openComparisons(accounts.of(end, ends[1 - i]!), before[i]!, `${kind} ${endName(i)} ${moment}`));
  }
}

function openComparisons(event: TcpEvent | undefined, info: TcpInfo, prefix: string): Comparison[] {
  return [
    { field: `${prefix} bytes_sent`, expected: info.bytes_sent - info.bytes_retrans, actual: event?.bytes_sent },
    { field: `${prefix} bytes_received`, expected: info.bytes_received, actual: event?.bytes_received },
    { field: `${prefix} bytes_retrans`, expected: info.bytes_retrans, actual: event?.bytes_retrans },
    { field: `${prefix} segs_out`, expected: info.segs_out, actual: event?.segs_out },
    { field: `${prefix} segs_in`, expected: info.segs_in, actual: event?.segs_in },
    { field: `${prefix} total_retrans`, expected: info.total_retrans, actual: event?.total_retrans },
    { field: `${prefix} srtt_us`, expected: info.rtt_us, actual: event?.srtt_us },
    { field: `${prefix} rttvar_us`, expected: info.rttvar_us, actual: event?.rttvar_us },
    { field: `${prefix} min_rtt_us`, expected: info.min_rtt_us, actual: event?.min_rtt_us },
    { field: `${prefix} snd_cwnd`, expected: info.snd_cwnd, actual: event?.snd_cwnd },
    { field: `${prefix} reord_seen`, expected: info.reord_seen, actual: event?.reord_seen },
    { field: `${prefix} busy_us`, expected: info.busy_us, actual: event && event.busy_ticks * tickUs() },
    { field: `${prefix} rwnd_limited_us`, expected: info.rwnd_limited_us, actual: event && event.rwnd_limited_ticks * tickUs() },
    { field: `${prefix} sndbuf_limited_us`, expected: info.sndbuf_limited_us, actual: event && event.sndbuf_limited_ticks * tickUs() },
  ];
}

function compareEnded(event: TcpEvent | undefined, index: number, peer: PairEnd, end: PairEnd, kind: PairKind): Comparison[] {
  const isClient = index === 0;
  const prefix = `${kind} ${endName(index)} ended`;
  return [
    { field: `${prefix} bytes_sent`, expected: isClient ? CLIENT_BYTES : SERVER_BYTES, actual: event?.bytes_sent },
    { field: `${prefix} bytes_received`, expected: isClient ? SERVER_BYTES : CLIENT_BYTES, actual: event?.bytes_received },
    { field: `${prefix} local_address`, expected: ADDRESSES[kind], actual: event && formatAddress(event.local_address) },
    { field: `${prefix} remote_address`, expected: ADDRESSES[kind], actual: event && formatAddress(event.remote_address) },
    { field: `${prefix} local_port`, expected: end.port, actual: event?.local_port },
    { field: `${prefix} remote_port`, expected: peer.port, actual: event?.remote_port },
    { field: `${prefix} active_open`, expected: isClient, actual: event?.active_open },
    { field: `${prefix} pid`, expected: Deno.pid, actual: event?.pid },
  ];
}

/** Who connects is known from connect(2), who accepts from accept(2) where kernel functions are hooks, else from a later moment. */
function compareAttribution(event: TcpEvent | undefined, index: number, seesAccept: boolean, kind: PairKind): Comparison {
  const field = `${kind} ${endName(index)} attribution`;
  if (index === 0) return { field, expected: ATTRIBUTION.ATTRIBUTION_CONNECT, actual: event?.attribution };
  if (seesAccept) return { field, expected: ATTRIBUTION.ATTRIBUTION_ACCEPT, actual: event?.attribution };
  return { field: `${field} is known`, expected: true, actual: event && event.attribution !== ATTRIBUTION.ATTRIBUTION_UNKNOWN };
}
