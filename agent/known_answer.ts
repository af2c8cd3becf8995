/** Known-answer test: conversations of known bytes on loopback, every field compared with what the kernel itself says. */

import { tickUs } from "../ffi/libc.ts";
import { type PairEnd, type PairKind, type TcpInfo, TcpPair } from "../ffi/libc_tcp_pair.ts";
import { formatAddress } from "../lib/ip_address.ts";
import { ATTRIBUTION, EVENT_KIND, type TcpEvent } from "./event.ts";
import type { KernelPrograms } from "./kernel.ts";

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
/** A delayed acknowledgement may change an account between two looks at it; then one looks again. */
const LOOKS_MAX = 20;

/** What the kernel programs told of each socket so far: amounts added up, all else as of the last time. */
class Accounts {
  readonly #sockets = new Map<number, TcpEvent>();

  add(event: TcpEvent): void {
    const before = this.#sockets.get(event.socket_cookie);
    const sums = before === undefined ? {} : Object.fromEntries(AMOUNTS.map((name) => [name, before[name] + event[name]]));
    this.#sockets.set(event.socket_cookie, { ...event, ...sums });
  }

  of(end: PairEnd): TcpEvent | undefined {
    return this.#sockets.get(end.cookie);
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

/** Holds one conversation of each kind with the programs attached, and returns every comparison, also those that agree. */
export function selfTest(kernel: KernelPrograms): Comparison[] {
  return KINDS.flatMap((kind) => testPair(kernel, kind));
}

function testPair(kernel: KernelPrograms, kind: PairKind): Comparison[] {
  let ends: readonly PairEnd[];
  const comparisons: Comparison[] = [], accounts = new Accounts();
  {
    using pair = new TcpPair(kind);
    ends = [pair.client, pair.server];
    pair.transfer(pair.client, pair.server, CLIENT_BYTES);
    for (const [i, end] of ends.entries()) comparisons.push(...compareOpen(kernel, accounts, pair, end, `${kind} ${endName(i)} open`));
    pair.transfer(pair.server, pair.client, SERVER_BYTES);
    for (const [i, end] of ends.entries()) comparisons.push(...compareOpen(kernel, accounts, pair, end, `${kind} ${endName(i)} later`));
  }
  const ended = new Set<number>();
  kernel.drain({
    onTcpEvent: (event) => {
      if (event.kind !== EVENT_KIND.EVENT_SOCKET_ENDED) return;
      accounts.add(event);
      ended.add(event.socket_cookie);
    },
    onProcess: () => {},
  });
  for (const [i, end] of ends.entries()) {
    comparisons.push(...compareEnded(ended.has(end.cookie) ? accounts.of(end) : undefined, i, ends[1 - i]!, end, kind));
  }
  return comparisons;
}

function endName(index: number): string {
  return index === 0 ? "client" : "server";
}

function compareOpen(kernel: KernelPrograms, accounts: Accounts, pair: TcpPair, end: PairEnd, prefix: string): Comparison[] {
  for (let look = 1;; look++) {
    const before = pair.info(end);
    for (const event of kernel.walkOpen()) accounts.add(event);
    const settled = JSON.stringify(before) === JSON.stringify(pair.info(end));
    if (settled || look === LOOKS_MAX) return openComparisons(accounts.of(end), before, prefix);
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
    {
      field: `${prefix} attribution in the owner's context`,
      expected: true,
      actual: event && event.attribution !== ATTRIBUTION.ATTRIBUTION_UNKNOWN,
    },
  ];
}
