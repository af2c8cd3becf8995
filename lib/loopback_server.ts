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

const RETRY_MS = 1_000;

/**
 * Serves until disposed of. Where the port cannot be had, that is logged once and tried again, as the program before may be about to
 * end; meanwhile the program goes on without: its work matters more.
 */
export class LoopbackServer implements AsyncDisposable {
  #server: Deno.HttpServer<Deno.NetAddr> | null = null;
  #retrying: ReturnType<typeof setInterval> | undefined;

  constructor(program: string, listen: HostPort | null, routes: Routes) {
    if (listen === null) return;
    const attempt = (onTaken: (error: unknown) => void) => this.#server = serve(program, listen, routes, onTaken);
    attempt((error) => log("warn", program, "metrics are not served", { error: describeError(error), port: listen.port }));
    if (this.#server !== null) return;
    this.#retrying = setInterval(() => {
      if (attempt(() => {}) !== null) clearInterval(this.#retrying);
    }, RETRY_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#retrying);
    await this.#server?.shutdown();
  }
}

function serve(
  program: string,
  { address, port }: HostPort,
  routes: Routes,
  onTaken: (error: unknown) => void,
): Deno.HttpServer<Deno.NetAddr> | null {
  const hostname = formatAddress(address);
  try {
    return Deno.serve({
      hostname,
      port,
      onListen: ({ port }) => log("info", program, "serving metrics", { address: hostname, port }),
    }, (request) => answer(new URL(request.url), routes));
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.AddrNotAvailable)) throw error;
    onTaken(error);
    return null;
  }
}

function answer({ pathname, searchParams }: URL, routes: Routes): Response | Promise<Response> {
  const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
  return route === undefined ? new Response(`see ${Object.keys(routes).join(", ")}\n`, { status: 404 }) : route(searchParams);
}
