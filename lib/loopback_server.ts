/** What programs tell about themselves over HTTP, to this host alone. */

import { formatAddress, type HostPort, parseHostPort } from "./ip_address.ts";
import { describeError, log } from "./log.ts";

/** Answers by path. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => Response | Promise<Response>>>;

/** What `readLoopback()` needs, for messages. */
export const LOOPBACK_NEEDED = '"ADDRESS:PORT" of 127.0.0.1 or [::1], or "off"';

/**
 * Reads an address and port of loopback, or `off`; null where it is neither. Only loopback: the permissions of the programs' tasks
 * allow no more, and what is served tells who talks.
 */
export function readLoopback(text: string): { readonly listen: HostPort | null } | null {
  if (text === "off") return { listen: null };
  return /^(127\.0\.0\.1|\[::1\]):\d{1,5}$/.test(text) && Number(text.split(":").at(-1)) <= 65_535 ? { listen: parseHostPort(text) } : null;
}

/**
 * Serves until disposed of. Where the port cannot be had, that is logged and the program goes on without: its work matters more.
 */
export class LoopbackServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr> | null;

  constructor(program: string, listen: HostPort | null, routes: Routes) {
    this.#server = listen === null ? null : serve(program, listen, routes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.shutdown();
  }
}

function serve(program: string, { address, port }: HostPort, routes: Routes): Deno.HttpServer<Deno.NetAddr> | null {
  const hostname = formatAddress(address);
  try {
    return Deno.serve({
      hostname,
      port,
      onListen: ({ port }) => log("info", program, "serving metrics", { address: hostname, port }),
    }, (request) => answer(new URL(request.url), routes));
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.AddrNotAvailable)) throw error;
    log("warn", program, "metrics are not served", { error: describeError(error), address: hostname, port });
    return null;
  }
}

function answer({ pathname, searchParams }: URL, routes: Routes): Response | Promise<Response> {
  const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
  return route === undefined ? new Response(`see ${Object.keys(routes).join(", ")}\n`, { status: 404 }) : route(searchParams);
}
