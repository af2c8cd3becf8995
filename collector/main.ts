/** The collector: `run` receives sFlow and publishes aggregated flows, `decode` shows what is in a capture. */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { type HostPort, parseHostPort } from "../lib/ip_address.ts";
import { describeError, log } from "../lib/log.ts";
import { type CollectorConfig, DEFAULT_CONFIG, MESSAGE_FORMATS } from "./config.ts";
import { describeFile } from "./describe_file.ts";
import { collect } from "./run.ts";

const ENTERPRISE_MAX = 2 ** 20 - 1;
const WORKERS_MAX = 256;
const WINDOW_S_MAX = 3_600;

const program = new Command("collector").description("Receives sFlow from agents, aggregates conversations, and publishes them to a topic.")
  .exitOverride();

program.command("run")
  .description("collect until stopped")
  .requiredOption("--listen <host:port>", "where datagrams are received; port 0 takes any", hostPort)
  .requiredOption("--topic <url>", "sqlite:PATH")
  .option("--workers <number>", "sockets and tables side by side", integer(WORKERS_MAX), DEFAULT_CONFIG.workers)
  .option("--window-s <seconds>", "how long a conversation is added up before it leaves", integer(WINDOW_S_MAX), DEFAULT_CONFIG.windowS)
  .option("--enterprise <number>", "private enterprise number of our records", integer(ENTERPRISE_MAX), DEFAULT_CONFIG.enterprise)
  .addOption(
    new Option("--format <format>", "batches of rows for our jobs, or goflow2's protobuf").choices(MESSAGE_FORMATS).default(
      DEFAULT_CONFIG.format,
    ),
  )
  .option("--spool-directory <path>", "where messages wait on disk that the topic cannot take; without it they wait in memory")
  .option("--spool-bytes-max <bytes>", "room for them", integer(Number.MAX_SAFE_INTEGER), DEFAULT_CONFIG.spoolBytesMax)
  .action(
    async ({ listen, topic, workers, windowS, enterprise, format, spoolDirectory = DEFAULT_CONFIG.spoolDirectory, spoolBytesMax }) => {
      await run({
        listen: listen.parsed,
        listenText: listen.text,
        topicUrl: topic,
        workers,
        windowS,
        enterprise,
        format,
        spoolDirectory,
        spoolBytesMax,
      });
    },
  );

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
