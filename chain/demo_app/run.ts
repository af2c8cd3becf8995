/** Runs the demo's application: a client that asks a web server, which asks an API, which asks a database. */

import { taskArguments } from "../program.ts";
import { TextLineStream } from "../text_line_stream.ts";
import type { TierReport } from "./tier.ts";

/** From the front to the back. */
export const TIERS = ["client", "web", "api", "database"] as const;
export type TierName = typeof TIERS[number];

/** Bytes of a reply (of a request, for the client), so that no two edges carry the same. */
const REPLY_BYTES: Readonly<Record<TierName, number>> = { client: 120, web: 4_000, api: 900, database: 12_000 };

/** The agent's rules by which the processes of the application get their names. */
export const SERVICE_RULES = {
  services: TIERS.map((name) => ({ command_line: `demo_app/tier\\.ts --name ${name}( |$)`, service_name: name })),
};

/** Both processes' counts of the connections between two neighbouring tiers. */
export interface CountedEdge {
  readonly client: TierName;
  readonly server: TierName;
  readonly server_port: number;
  readonly connections: number;
  /** Client to server, and server to client. */
  readonly tx_bytes: number;
  readonly rx_bytes: number;
}

interface Tier {
  readonly name: TierName;
  readonly child: Deno.ChildProcess;
  readonly lines: ReadableStreamDefaultReader<string>;
  /** 0 where the tier does not listen. */
  readonly port: number;
}

/**
 * Starts the tiers from back to front, lets them talk for a while, and stops them from front to back.
 *
 * @throws {Error} If a tier fails, or the two ends of an edge counted differently.
 */
export async function runDemoApp(durationMs: number): Promise<CountedEdge[]> {
  const tiers: Tier[] = [];
  for (const name of TIERS.toReversed()) tiers.unshift(await startTier(name, tiers[0]?.port));
  await new Promise((resolve) => setTimeout(resolve, durationMs));
  const reports: TierReport[] = [];
  for (const tier of tiers) reports.push(await stopTier(tier));
  return tiers.slice(1).map((tier, i) => countEdge(reports[i]!, reports[i + 1]!, tier));
}

function countEdge(client: TierReport, server: TierReport, { name, port }: Tier): CountedEdge {
  const { connections, sent_bytes, received_bytes } = client.called;
  const { served } = server;
  if (served.connections !== connections || served.received_bytes !== sent_bytes || served.sent_bytes !== received_bytes) {
    throw new Error(
      `Cannot trust the demo's own counts: "${client.name}" says ${JSON.stringify(client.called)}, "${name}" says ${
        JSON.stringify(served)
      }`,
    );
  }
  return { client: client.name as TierName, server: name, server_port: port, connections, tx_bytes: sent_bytes, rx_bytes: received_bytes };
}

async function startTier(name: TierName, call: number | undefined): Promise<Tier> {
  const listens = name !== TIERS[0];
  const args = ["--name", name, ...(listens ? ["--listen"] : []), ...(call === undefined ? [] : ["--call", String(call)])];
  const command = new Deno.Command(Deno.execPath(), {
    args: [...await taskArguments("demo:tier"), ...args, "--reply-bytes", String(REPLY_BYTES[name])],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
  const child = command.spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  return { name, child, lines, port: listens ? (await readLine<{ listening: number }>(name, lines)).listening : 0 };
}

async function stopTier({ name, child, lines }: Tier): Promise<TierReport> {
  child.kill("SIGTERM");
  const report = await readLine<TierReport>(name, lines);
  const { code } = await child.status;
  if (code !== 0) throw new Error(`Cannot run the demo's tier "${name}": it ended with ${code}`);
  return report;
}

async function readLine<T>(name: string, lines: ReadableStreamDefaultReader<string>): Promise<T> {
  const { value, done } = await lines.read();
  if (done) throw new Error(`Cannot run the demo's tier "${name}": it ended early`);
  return JSON.parse(value) as T;
}
