/** Puts a server's flows with one peer together, where there are too many to tell the peer's ports apart. */

import { addressKey } from "./addresses.ts";
import { ROLE } from "./flow.ts";
import type { UdpRecord } from "./udp_record.ts";

/** Which end a socket is to a peer, and what says so. */
export interface Role {
  readonly role: number;
  readonly role_source: number;
}

/** A record with its role. */
export interface UdpTold {
  readonly record: UdpRecord;
  readonly role: Role;
}

/** Ports of one peer that are told apart. */
const PORTS_APART_MAX = 16;

/**
 * What one process did on a server's socket with one address, in one record if it came from many ports: those of a
 * client's questions to a DNS server are used once each. The port is 0 then; every amount is kept.
 */
export function rollUp(told: readonly UdpTold[]): UdpTold[] {
  const [servers, others] = [told.filter(isServer), told.filter((one) => !isServer(one))];
  const groups = Map.groupBy(servers, ({ record }) => `${record.socket_cookie} ${record.pid} ${addressKey(record.remote_address)}`);
  for (const group of groups.values()) {
    if (group.length > PORTS_APART_MAX) others.push({ record: sumOf(group), role: group[0]!.role });
    else others.push(...group);
  }
  return others;
}

function isServer({ role }: UdpTold): boolean {
  return role.role === ROLE.server;
}

function sumOf(group: readonly UdpTold[]): UdpRecord {
  const sum = { ...group[0]!.record, remote_port: 0 };
  for (const { record } of group.slice(1)) {
    sum.tx_bytes += record.tx_bytes;
    sum.rx_bytes += record.rx_bytes;
    sum.tx_datagrams += record.tx_datagrams;
    sum.rx_datagrams += record.rx_datagrams;
    sum.first_ktime_ns = Math.min(sum.first_ktime_ns, record.first_ktime_ns);
    sum.last_ktime_ns = Math.max(sum.last_ktime_ns, record.last_ktime_ns);
    sum.amounts_known &&= record.amounts_known;
  }
  return sum;
}
