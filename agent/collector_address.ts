/** Where the datagrams go, as the operator writes it: an address or a host name, and a port. */

import { isIpAddress } from "../lib/ip_address.ts";

/** `host` is an IP address without brackets, or a name that is resolved when it is needed. */
export interface CollectorAddress {
  readonly host: string;
  readonly port: number;
}

export const COLLECTOR_FORM = '"HOST:PORT" or "[IPV6]:PORT", HOST an IPv4 address or a host name, PORT 1 to 65535';

const HOST_NAME_BYTES_MAX = 253;
/** RFC 1123, section 2.1; the last label of a name is not of digits alone, so that a mistyped address is no name. */
const HOST_NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?$/i;

/** Reads `HOST:PORT`; null if it is not of that form. */
export function parseCollectorAddress(text: string): CollectorAddress | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const [, bracketed, plain] = match, port = Number(match[3]);
  if (port < 1 || port > 65_535) return null;
  if (bracketed !== undefined) return isIpAddress(bracketed) ? { host: bracketed, port } : null;
  if (plain === undefined || plain.length > HOST_NAME_BYTES_MAX) return null;
  return isIpAddress(plain) || HOST_NAME.test(plain) ? { host: plain, port } : null;
}

/** The address as it is written. */
export function formatCollectorAddress({ host, port }: CollectorAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
