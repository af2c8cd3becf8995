/** Known-answer test of UDP: datagrams of known bytes on loopback, every field that the programs keep compared with them. */

import type { PairEnd, PairKind } from "../ffi/libc_tcp_pair.ts";
import { UdpPair } from "../ffi/libc_udp_pair.ts";
import { formatAddress } from "../lib/ip_address.ts";
import type { Comparison } from "./known_answer.ts";
import type { UdpPrograms } from "./udp_kernel.ts";
import type { UdpRecord } from "./udp_record.ts";

const KINDS: readonly PairKind[] = ["ipv4", "ipv6", "mapped"];
const ADDRESSES: Readonly<Record<PairKind, string>> = { ipv4: "127.0.0.1", ipv6: "::1", mapped: "127.0.0.1" };
/** Datagrams without bytes and of the largest size are datagrams too. */
const ASKED_BYTES = [0, 1, 512, 1_200, 65_000], REPLIED_BYTES = [100, 0, 4_096, 1, 65_000];
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/**
 * Sends datagrams of each kind with the programs attached, and returns every comparison, also those that agree. What else
 * was counted meanwhile is not lost: `onOthers` gets it.
 */
export function selfTestUdp(udp: UdpPrograms, onOthers: (records: readonly UdpRecord[]) => void): Comparison[] {
  return KINDS.flatMap((kind) => testPair(udp, kind, onOthers));
}

function testPair(udp: UdpPrograms, kind: PairKind, onOthers: (records: readonly UdpRecord[]) => void): Comparison[] {
  using pair = new UdpPair(kind);
  for (const [i, bytes] of ASKED_BYTES.entries()) pair.ask(bytes, REPLIED_BYTES[i]!);
  const { client, server } = pair;
  const isOurs = ({ socket_cookie }: UdpRecord) => socket_cookie === client.cookie || socket_cookie === server.cookie;
  const taken = udp.take(), records = taken.filter(isOurs);
  onOthers(taken.filter((record) => !isOurs(record)));
  return [
    { field: `${kind} udp flows`, expected: 2, actual: records.length },
    ...compare(records, client, server, kind, `${kind} udp client`, true),
    ...compare(records, server, client, kind, `${kind} udp server`, false),
  ];
}

function compare(
  records: readonly UdpRecord[],
  end: PairEnd,
  peer: PairEnd,
  kind: PairKind,
  prefix: string,
  isClient: boolean,
): Comparison[] {
  const record = records.find(({ socket_cookie }) => socket_cookie === end.cookie);
  const [sent, received] = isClient ? [ASKED_BYTES, REPLIED_BYTES] : [REPLIED_BYTES, ASKED_BYTES];
  return [
    { field: `${prefix} tx_bytes`, expected: sum(sent), actual: record?.tx_bytes },
    { field: `${prefix} tx_datagrams`, expected: sent.length, actual: record?.tx_datagrams },
    { field: `${prefix} rx_bytes`, expected: sum(received), actual: record?.rx_bytes },
    { field: `${prefix} rx_datagrams`, expected: received.length, actual: record?.rx_datagrams },
    { field: `${prefix} remote_address`, expected: ADDRESSES[kind], actual: record && formatAddress(record.remote_address) },
    { field: `${prefix} local_port`, expected: end.port, actual: record?.local_port },
    { field: `${prefix} remote_port`, expected: peer.port, actual: record?.remote_port },
    { field: `${prefix} connected`, expected: isClient, actual: record?.connected },
    { field: `${prefix} sent_first`, expected: isClient, actual: record?.sent_first },
    { field: `${prefix} pid`, expected: Deno.pid, actual: record?.pid },
  ];
}
