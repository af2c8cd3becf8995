/** Asks a running collector over its loopback port. */

import type { z } from "zod";
import { formatAddress, type HostPort, isMappedIpv4 } from "../lib/ip_address.ts";

/**
 * Fetches a document.
 *
 * @param path Path and query.
 * @throws {Error} If nobody answers there, or no collector of this version.
 */
export async function askCollector<S extends z.ZodType>({ address, port }: HostPort, path: string, schema: S): Promise<z.output<S>> {
  const text = formatAddress(address), host = isMappedIpv4(address) ? `${text}:${port}` : `[${text}]:${port}`;
  const response = await fetchFrom(`http://${host}${path}`, host);
  if (response.status === 400) throw new SyntaxError((await response.text()).trimEnd());
  const parsed = response.ok ? schema.safeParse(await response.json()) : null;
  if (!parsed?.success) {
    await response.body?.cancel();
    throw new Error(`Cannot ask "${host}": what answers there is no collector of this version, needed its metrics_listen as --at`);
  }
  return parsed.data;
}

async function fetchFrom(url: string, host: string): Promise<Response> {
  try {
    return await fetch(url);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause; // fetch's word for whatever went wrong on the way
    throw new Error(`Cannot ask "${host}": nobody answers there, needed a running collector's metrics_listen as --at`, { cause });
  }
}
