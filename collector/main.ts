/** The collector: `run` receives sFlow and publishes aggregated flows, the others show what it does. */

import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { readFlag } from "../lib/command_flag.ts";
import { type AddressRange, formatAddress, type HostPort, parseAddress, parseHostPort } from "../lib/ip_address.ts";
import { describeError, log, setLogLevel } from "../lib/log.ts";
import { TOPIC_URL_FORMS } from "../lib/topic/open.ts";
import { CONFIG_KEYS, type ConfigFile, DEFAULT_CONFIG } from "./config.ts";
import { describeFile } from "./describe_file.ts";
import { printExplanation } from "./explain.ts";
import { readConfig, reloadConfig } from "./reload.ts";
import { collect } from "./run.ts";
import { loadTest } from "./self_load.ts";
import { AGENT_ORDERS, top } from "./top.ts";

const program = new Command("collector").description("Receives sFlow from agents, aggregates conversations, and publishes them to a topic.")
  .exitOverride();

program.command("run")
  .description("collect until stopped; SIGHUP reads the configuration file again")
  .option("--config <file>", "settings, YAML or JSON; the other options come before it")
  .option(
    "--listen <host:port>",
    "where datagrams are received; port 0 takes any",
    (text) => readFlag(CONFIG_KEYS.listen, text),
  )
  .option("--topic <url>", TOPIC_URL_FORMS, (text) => readFlag(CONFIG_KEYS.topic, text))
  .option("--workers <number>", "sockets and tables side by side", (text) => readFlag(CONFIG_KEYS.workers, Number(text)))
  .option(
    "--table-rows <number>",
    "conversations that each worker holds at a time",
    (text) => readFlag(CONFIG_KEYS.table_rows, Number(text)),
  )
  .option(
    "--window-s <seconds>",
    "how long a conversation is added up before it leaves",
    (text) => readFlag(CONFIG_KEYS.window_s, Number(text)),
  )
  .option("--enterprise <number>", "private enterprise number of our records", (text) => readFlag(CONFIG_KEYS.enterprise, Number(text)))
  .option(
    "--format <format>",
    "arrow, batches of rows for our jobs, or flowmessage, goflow2's protobuf",
    (text) => readFlag(CONFIG_KEYS.format, text),
  )
  .option(
    "--spool-directory <path>",
    "where messages wait on disk that the topic cannot take; without it they wait in memory",
    (text) => readFlag(CONFIG_KEYS.spool_directory, text),
  )
  .option("--spool-bytes-max <bytes>", "room for them", (text) => readFlag(CONFIG_KEYS.spool_bytes_max, Number(text)))
  .option(
    "--metrics-listen <host:port>",
    "where metrics are served, on loopback, or off",
    (text) => readFlag(CONFIG_KEYS.metrics_listen, text),
  )
  .option(
    "--allow <cidr>",
    "senders that are listened to, in place of private and local addresses; repeatable",
    (text, before: readonly AddressRange[] | undefined) => [...before ?? [], ...readFlag(CONFIG_KEYS.allow, [text])],
  )
  .option(
    "--source-limit <datagrams/s>",
    "what one sender may send to one worker",
    (text) => readFlag(CONFIG_KEYS.source_limit, Number(text)),
  )
  .option(
    "--key-file <file>",
    "keys, one a line, that agents must sign with; without it anyone may send",
    (text) => readFlag(CONFIG_KEYS.key_file, text),
  )
  .option("--take-over", "follow a collector that listens there, which is then to be stopped; no datagram is lost", false)
  .option("--log-level <level>", "the least level of what is logged", (text) => readFlag(CONFIG_KEYS.log_level, text))
  .action(async ({ config, takeOver, ...flags }) => {
    await run(config ?? null, takeOver, {
      ...(flags.listen === undefined ? {} : { listen: flags.listen }),
      ...(flags.topic === undefined ? {} : { topic: flags.topic }),
      ...(flags.workers === undefined ? {} : { workers: flags.workers }),
      ...(flags.tableRows === undefined ? {} : { table_rows: flags.tableRows }),
      ...(flags.windowS === undefined ? {} : { window_s: flags.windowS }),
      ...(flags.enterprise === undefined ? {} : { enterprise: flags.enterprise }),
      ...(flags.format === undefined ? {} : { format: flags.format }),
      ...(flags.spoolDirectory === undefined ? {} : { spool_directory: flags.spoolDirectory }),
      ...(flags.spoolBytesMax === undefined ? {} : { spool_bytes_max: flags.spoolBytesMax }),
      ...(flags.allow === undefined ? {} : { allow: [...flags.allow] }),
      ...(flags.sourceLimit === undefined ? {} : { source_limit: flags.sourceLimit }),
      ...(flags.keyFile === undefined ? {} : { key_file: flags.keyFile }),
      ...(flags.metricsListen === undefined ? {} : { metrics_listen: flags.metricsListen }),
      ...(flags.logLevel === undefined ? {} : { log_level: flags.logLevel }),
    });
  });

program.command("decode <file>")
  .description("print the samples of a capture (pcap) or of a raw datagram as JSON lines")
  .option("--enterprise <number>", "private enterprise number of our records", (text) => readFlag(CONFIG_KEYS.enterprise, Number(text)))
  .action(async (file, { enterprise }) => {
    for (const line of describeFile(await Deno.readFile(file), enterprise ?? DEFAULT_CONFIG.enterprise)) console.log(JSON.stringify(line));
  });

program.command("top")
  .description("show agents, rates, losses and tables of a running collector; live on a terminal, else once")
  .option("--at <host:port>", "where the collector serves its metrics", hostPort, DEFAULT_CONFIG.metricsListen)
  .addOption(
    new Option("--order <by>", "agents by datagrams a second, or by the part of them that is lost").choices(AGENT_ORDERS).default(
      AGENT_ORDERS[0],
    ),
  )
  .action(({ at, order }) => top(at, order));

program.command("explain")
  .description("show the life of a conversation's rows in a running collector")
  .requiredOption("--client <address>", "address of the end that opens the conversation", address)
  .requiredOption("--server <address>", "address of the end that listens", address)
  .requiredOption("--port <number>", "port of the service")
  .option("--at <host:port>", "where the collector serves its metrics", hostPort, DEFAULT_CONFIG.metricsListen)
  .action(({ client, server, port, at }) => printExplanation(at, client, server, port));

program.command("load-test")
  .description("measure what one core of this machine takes: receiving, decoding and aggregating, encoding")
  .action(loadTest);

async function run(path: string | null, takeOver: boolean, flags: ConfigFile): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  const config = readConfig(path, flags, takeOver);
  setLogLevel(config.logLevel);
  const ledger = await collect(config, stop.signal, (admit) => {
    // Without a file there is nothing to reload, and the end of a terminal ends the collector.
    if (path !== null) Deno.addSignalListener("SIGHUP", () => reloadConfig(path, flags, config, admit));
  });
  log("info", "collector", "stopped", { ledger });
  if (ledger.events_unpublished > 0) throw new Error(`Cannot store ${ledger.events_unpublished} events in topic "${config.topicUrl}"`);
}

function hostPort(text: string): HostPort {
  return parsed(() => parseHostPort(text));
}

function address(text: string): string {
  return parsed(() => formatAddress(parseAddress(text)));
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  log("error", "collector", "failed", { error: describeError(error) });
  Deno.exit(error instanceof SyntaxError ? 2 : 1);
}
Deno.exit(0);
