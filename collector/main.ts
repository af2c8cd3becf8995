/** The collector: `run` receives sFlow and publishes aggregated flows, `decode` shows what is in a capture. */

import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { type AddressRange, type HostPort, parseAddressRange, parseHostPort } from "../lib/ip_address.ts";
import { describeError, log } from "../lib/log.ts";
import { parseKeys } from "../lib/sflow/authentication.ts";
import { type CollectorConfig, DEFAULT_CONFIG } from "./config.ts";
import { describeFile } from "./describe_file.ts";
import { collect } from "./run.ts";

const ENTERPRISE_MAX = 2 ** 20 - 1;
const WORKERS_MAX = 256;
const WINDOW_S_MAX = 3_600;
const SOURCE_LIMIT_MAX = 1e9;
/** As many ranges are looked through for a sender that is not allowed. */
const ALLOWED_MAX = 1_000;

const program = new Command("collector").description("Receives sFlow from agents, aggregates conversations, and publishes them to a topic.")
  .exitOverride();

program.command("run")
  .description("collect until stopped")
  .requiredOption("--listen <host:port>", "where datagrams are received; port 0 takes any", hostPort)
  .requiredOption("--topic <url>", "sqlite:PATH")
  .option("--workers <number>", "sockets and tables side by side", integer(WORKERS_MAX), DEFAULT_CONFIG.workers)
  .option("--window-s <seconds>", "how long a conversation is added up before it leaves", integer(WINDOW_S_MAX), DEFAULT_CONFIG.windowS)
  .option("--enterprise <number>", "private enterprise number of our records", integer(ENTERPRISE_MAX), DEFAULT_CONFIG.enterprise)
  .option("--allow <cidr>", "senders that are listened to, in place of private and local addresses; repeatable", addressRange)
  .option(
    "--source-limit <datagrams/s>",
    "what one sender may send to one worker",
    integer(SOURCE_LIMIT_MAX),
    DEFAULT_CONFIG.sourceLimit,
  )
  .option("--key-file <file>", "keys, one a line, that agents must sign with; without it anyone may send")
  .option("--take-over", "follow a collector that listens there, which is then to be stopped; no datagram is lost", DEFAULT_CONFIG.takeOver)
  .action(async ({ listen, topic, workers, windowS, enterprise, allow, sourceLimit, keyFile, takeOver }) => {
    const keysText = keyFile === undefined ? DEFAULT_CONFIG.keysText : await Deno.readTextFile(keyFile);
    if (keysText !== null) parseKeys(keysText); // refused here, before anything is bound
    const allowed = allow ?? DEFAULT_CONFIG.allowed, listening = { listen: listen.parsed, listenText: listen.text };
    await run({ ...listening, topicUrl: topic, workers, windowS, enterprise, allowed, sourceLimit, keysText, takeOver });
  });

program.command("decode <file>")
  .description("print the samples of a capture (pcap) or of a raw datagram as JSON lines")
  .option("--enterprise <number>", "private enterprise number of our records", integer(ENTERPRISE_MAX), DEFAULT_CONFIG.enterprise)
  .action(async (file, { enterprise }) => {
    for (const line of describeFile(await Deno.readFile(file), enterprise)) console.log(JSON.stringify(line));
  });

async function run(config: CollectorConfig): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  const ledger = await collect(config, stop.signal);
  log("info", "collector", "stopped", { ledger });
  if (ledger["events_unpublished"]! > 0) {
    throw new Error(`Cannot store ${ledger["events_unpublished"]} events in topic "${config.topicUrl}"`);
  }
}

function hostPort(text: string): { readonly text: string; readonly parsed: HostPort } {
  try {
    return { text, parsed: parseHostPort(text) };
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function addressRange(text: string, before: readonly AddressRange[] | undefined): readonly AddressRange[] {
  try {
    const ranges = [...before ?? [], parseAddressRange(text)];
    if (ranges.length > ALLOWED_MAX) throw new InvalidArgumentError(`Needed at most ${ALLOWED_MAX} ranges.`);
    return ranges;
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function integer(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > max) throw new InvalidArgumentError(`Needed a whole number of 1 to ${max}.`);
    return value;
  };
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  log("error", "collector", "failed", { error: describeError(error) });
  Deno.exit(1);
}
Deno.exit(0);
