/** `deno task up`: the whole chain on this host's own traffic, until stopped. */

import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { describeError } from "../lib/log.ts";
import { Chain, type ChainLedgers, lakePath } from "./chain.ts";

const SECONDS_MAX = 31_536_000;

const program = new Command("up")
  .description("Observes this host's TCP conversations and keeps their history under DIR, until stopped.")
  .requiredOption("--data <dir>", "folder for the topic and the lake")
  .option("--for <seconds>", "stop after so long", seconds)
  .option("--config <file>", "rules that name services, JSON")
  .exitOverride();

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value > SECONDS_MAX) throw new InvalidArgumentError(`Needed seconds, more than 0 and at most ${SECONDS_MAX}.`);
  return value;
}

async function up(dataDirectory: string, forSeconds: number | undefined, config: string | undefined): Promise<ChainLedgers> {
  const stopped = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stopped.resolve(signal));
  const chain = await Chain.start({
    dataDirectory,
    windowS: null,
    agentArguments: config === undefined ? [] : ["--config", await Deno.realPath(config)],
    onProblem: (line) => console.error(line),
  });
  console.log(`observing; everything is kept under ${dataDirectory}; stop with Ctrl-C`);
  console.log(`ask while it runs: deno task jobs run dependency-graph --lake ${lakePath({ dataDirectory })}`);
  const timer = forSeconds === undefined ? undefined : setTimeout(() => stopped.resolve(`${forSeconds} s`), forSeconds * 1_000);
  const reason = await Promise.race([stopped.promise, chain.ended().then((name) => `the ${name} ended by itself`)]);
  clearTimeout(timer);
  console.log(`stopping (${reason}): flushing the agent, the collector, the topic`);
  return await chain.stop();
}

try {
  const { data, for: forSeconds, config } = program.parse(Deno.args, { from: "user" }).opts();
  await Deno.mkdir(data, { recursive: true });
  const { agent, collector } = await up(await Deno.realPath(data), forSeconds, config);
  console.log(`agent: ${JSON.stringify(agent)}`);
  console.log(`collector: ${JSON.stringify(collector)}`);
} catch (error) {
  if (error instanceof Error && "exitCode" in error) Deno.exit(error.exitCode === 0 ? 0 : 2); // commander has said why
  console.error(error instanceof AggregateError ? error.errors.map(describeError).join("\n") : describeError(error));
  Deno.exit(1);
}
Deno.exit(0);
