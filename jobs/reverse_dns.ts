/** Asks DNS for the names of addresses (RFC 1035, section 3.5; RFC 3596, section 2.5), and keeps what it said for a day. */

import { z } from "zod";
import { isMappedIpv4, parseAddress } from "../lib/ip_address.ts";
import { log } from "../lib/log.ts";
import type { ReverseName } from "./names.ts";
import type { Engine } from "./portable_sql.ts";

/** Addresses that one question asks for at most, those with the most bytes first. */
const ADDRESSES_MAX = 1_000;
const ASKED_AT_ONCE = 16;
const ANSWER_MS = 2_000;
const KEPT_MS = 86_400_000;

/** By the address's text. */
const Cache = z.record(z.string(), z.strictObject({ name: z.string().nullable(), asked_unix_ms: z.number() }));

export type NameServer = { readonly ipAddr: string; readonly port: number };

const UNNAMED_SQL = `
select address from (
  select client_address as address, tx_bytes + rx_bytes as bytes from named_conversation where client_named_by = 'none'
  union all
  select server_address as address, tx_bytes + rx_bytes as bytes from named_conversation where server_named_by = 'none'
) ends
group by address
order by sum(bytes) desc, address`;

/**
 * Names, from DNS, of the ends in named_conversation that have none. An address without a name is asked for again after a day, one
 * that no server answered for with the next question.
 *
 * @param cachePath File that keeps the answers; made where there is none.
 * @param server Null for the system's own.
 */
export async function reverseNames(engine: Engine, cachePath: string, server: NameServer | null = null): Promise<ReverseName[]> {
  const cache = await readCache(cachePath), now = Date.now();
  const unnamed = (await engine.table(UNNAMED_SQL)).rows.map(({ address }) => String(address));
  const old = unnamed.filter((address) => now - (cache[address]?.asked_unix_ms ?? 0) > KEPT_MS);
  if (old.length > ADDRESSES_MAX) log("warn", "jobs", "addresses not asked for in dns", { left_out: old.length - ADDRESSES_MAX });
  const queue = old.slice(0, ADDRESSES_MAX);
  const asked = queue.length;
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, async () => {
    for (let address = queue.shift(); address !== undefined; address = queue.shift()) {
      const name = await reverseName(address, server);
      if (name !== undefined) cache[address] = { name, asked_unix_ms: now };
    }
  }));
  if (asked > 0) await writeCache(cachePath, cache);
  return unnamed.flatMap((address) => {
    const name = cache[address]?.name ?? null;
    return name === null ? [] : [{ address, service: name }];
  });
}

/** The address's name, null where it has none, undefined where nobody said. */
async function reverseName(address: string, server: NameServer | null): Promise<string | null | undefined> {
  try {
    const options = { signal: AbortSignal.timeout(ANSWER_MS), ...server === null ? {} : { nameServer: server } };
    const names = await Deno.resolveDns(reverseQuery(address), "PTR", options);
    return names.map((name) => name.replace(/\.$/, "")).toSorted()[0] ?? null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    log("warn", "jobs", "dns did not answer", { error: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

/** @internal For its test: the name that is asked for. */
export function reverseQuery(address: string): string {
  const bytes = parseAddress(address);
  if (isMappedIpv4(bytes)) return `${Array.from(bytes.subarray(12)).reverse().join(".")}.in-addr.arpa`;
  return `${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).flatMap((pair) => [...pair]).reverse().join(".")}.ip6.arpa`;
}

async function readCache(path: string): Promise<z.output<typeof Cache>> {
  try {
    return Cache.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    throw new SyntaxError(`Cannot read DNS cache "${path}": it is none; remove it, or name another file`, { cause: error });
  }
}

/** Replaced as a whole: another question may be reading it. */
async function writeCache(path: string, cache: z.output<typeof Cache>): Promise<void> {
  const written = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(written, JSON.stringify(cache));
  await Deno.rename(written, path);
}
