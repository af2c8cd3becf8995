/** One process of the demo's application: serves frames, and asks the tier behind it for each request. */

import { Command } from "@commander-js/extra-typings";
import { CountedConnection, type EdgeCounts } from "./counted_connection.ts";

/** What a tier prints when it has stopped: one line of JSON on stdout. */
export interface TierReport {
  readonly name: string;
  /** Connections that it accepted. */
  readonly served: EdgeCounts;
  /** Connections that it opened. */
  readonly called: EdgeCounts;
}

/** Loopback in both families; a tier is asked over each in turn. */
const HOSTS = ["127.0.0.1", "::1"] as const;
/** A connection to the tier behind carries this many requests, then the next is opened. */
const REQUESTS_PER_CONNECTION = 25;
const CLIENT_PAUSE_MS = 10;

const { name, listen, call, replyBytes } = new Command("tier")
  .requiredOption("--name <name>", "name of the tier; the agent's rule looks for it")
  .option("--listen", "accept requests")
  .option("--call <port>", "port of the tier behind", Number)
  .option("--reply-bytes <bytes>", "size of a reply, or of a request where none are accepted", Number, 100)
  .parse(Deno.args, { from: "user" }).opts();

const served: EdgeCounts = { connections: 0, sent_bytes: 0, received_bytes: 0 };
const called: EdgeCounts = { connections: 0, sent_bytes: 0, received_bytes: 0 };
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

/** The connection to the tier behind, made anew after so many requests, in the other family. */
class Caller implements Disposable {
  #connection: CountedConnection | null = null;
  #requests = 0;

  constructor(readonly port: number) {}

  async ask(bytes: number): Promise<void> {
    if (this.#requests % REQUESTS_PER_CONNECTION === 0) await this.#reconnect();
    this.#requests++;
    await this.#connection!.send(bytes);
    if (await this.#connection!.receive() === null) throw new Error("Cannot ask: the tier behind closed the connection");
  }

  async #reconnect(): Promise<void> {
    this[Symbol.dispose]();
    const hostname = HOSTS[called.connections % HOSTS.length]!;
    this.#connection = new CountedConnection(await Deno.connect({ hostname, port: this.port }), called);
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
  }
}

async function serve(connection: Deno.Conn): Promise<void> {
  using frames = new CountedConnection(connection, served);
  using caller = call === undefined ? null : new Caller(call);
  for (let bytes = await frames.receive(); bytes !== null; bytes = await frames.receive()) {
    await caller?.ask(2 * bytes);
    await frames.send(replyBytes + bytes);
  }
}

/** Accepts over IPv4 and IPv6 from one dual-stack socket, until stopped and every connection has ended. */
async function acceptUntilStopped(): Promise<void> {
  const listener = Deno.listen({ hostname: "::", port: 0 });
  console.log(JSON.stringify({ listening: (listener.addr as Deno.NetAddr).port }));
  stop.signal.addEventListener("abort", () => listener.close());
  const open: Promise<void>[] = [];
  for await (const connection of listener) open.push(serve(connection));
  await Promise.all(open);
}

async function askUntilStopped(port: number): Promise<void> {
  using caller = new Caller(port);
  while (!stop.signal.aborted) {
    await caller.ask(replyBytes);
    await new Promise((resolve) => setTimeout(resolve, CLIENT_PAUSE_MS));
  }
}

if (listen) await acceptUntilStopped();
else if (call !== undefined) await askUntilStopped(call);
else throw new TypeError("Cannot start tier: it neither listens nor calls, needed --listen or --call PORT");
const report: TierReport = { name, served, called };
console.log(JSON.stringify(report));
Deno.exit(0);
