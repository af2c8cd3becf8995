/** Runs the traffic: a server process, a client process, and both counts of every port. */

import { TextLineStream } from "../../chain/text_line_stream.ts";
import type { PortCounts } from "./frames.ts";
import { type ClientOrder, FAMILIES, type Kind, type Plan } from "./plan.ts";

/** Both processes' counts of one plan. */
export interface CountedPlan extends Plan {
  readonly client: PortCounts;
  readonly server: PortCounts;
}

type Counts = Readonly<Record<string, PortCounts>>;
export type TrafficOrder = Omit<ClientOrder, "plans"> & { readonly kinds: readonly Kind[] };

/**
 * Runs until the client is done, then stops the server.
 *
 * @throws {Error} If a process fails.
 */
export async function runTraffic({ kinds, ...order }: TrafficOrder): Promise<CountedPlan[]> {
  const pairs = kinds.flatMap((kind) => FAMILIES.map((family) => ({ kind, family })));
  const server = start("server.ts", String(pairs.length));
  const lines = server.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  const ports = JSON.parse((await lines.read()).value!) as number[];
  // A port from which a listener has gone refuses.
  const plans = pairs.map(({ kind, family }, i) => ({ kind, family, port: kind === "refused" ? freePort() : ports[i]! }));
  const client = await start("client.ts", JSON.stringify({ ...order, plans } satisfies ClientOrder)).output();
  server.kill("SIGTERM");
  const served = JSON.parse((await lines.read()).value!) as Counts;
  if (!client.success || !(await server.status).success) throw new Error("Cannot run traffic: a process failed");
  const called = JSON.parse(new TextDecoder().decode(client.stdout)) as Counts;
  const none = { connections: 0, refused: 0, sent_bytes: 0, received_bytes: 0 };
  return plans.map((plan) => ({ ...plan, client: called[plan.port]!, server: served[plan.port] ?? none }));
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "::", port: 0 });
  return listener.addr.port;
}

function start(program: string, argument: string): Deno.ChildProcess {
  const path = new URL(program, import.meta.url).pathname;
  const args = ["run", "--no-check", "--allow-net=127.0.0.1,[::1],[::],[::ffff:127.0.0.1]", path, argument];
  return new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
}
