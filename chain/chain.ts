/** The whole chain on one machine: agent -> collector -> embedded topic -> lake. */

import { type LogLine, Program, taskArguments } from "./program.ts";

/** How often the topic is moved into the lake. */
const ETL_INTERVAL_MS = 15_000;

export interface ChainConfig {
  /** Where everything is kept: `topic.db` and `lake`. */
  readonly dataDirectory: string;
  /** Collector's windows, in seconds; null for its default. */
  readonly windowS: number | null;
  /** Arguments for the agent beyond the collector's address. */
  readonly agentArguments: readonly string[];
  /** Gets each warning and error of the programs. */
  readonly onProblem: (line: string) => void;
}

/** What each program counted, from the ring buffer to the topic. */
export interface ChainLedgers {
  readonly agent: Readonly<Record<string, number>>;
  readonly collector: Readonly<Record<string, number>>;
}

/** The ETL job failed; what it said is the message. */
class EtlError extends Error {
  override readonly name = "EtlError";
}

/** A chain that runs. */
export class Chain {
  readonly #config: ChainConfig;
  readonly #collector: Program;
  readonly #agent: Program;
  readonly #stopEtl = new AbortController();
  readonly #etl: Promise<void>;

  private constructor(config: ChainConfig, collector: Program, agent: Program) {
    this.#config = config;
    this.#collector = collector;
    this.#agent = agent;
    this.#etl = this.#runEtlUntilStopped();
  }

  /**
   * Starts the collector, then the agent; resolves when conversations are observed.
   *
   * @throws {Error} If one of them cannot start; nothing is left running.
   */
  static async start(config: ChainConfig): Promise<Chain> {
    await Deno.mkdir(config.dataDirectory, { recursive: true });
    const windowArguments = config.windowS === null ? [] : ["--window-s", String(config.windowS)];
    const collector = await Program.start(
      "collector",
      ["run", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--topic", topicUrl(config), ...windowArguments],
      config.onProblem,
    );
    const { port } = await collector.message("listening");
    try {
      const agent = await Program.start("agent", ["run", "--collector", `127.0.0.1:${port}`, ...config.agentArguments], config.onProblem);
      await agent.message("observing");
      return new Chain(config, collector, agent);
    } catch (error) {
      await collector.stop();
      throw error;
    }
  }

  /** Resolves with the name of the first program that ends by itself. */
  ended(): Promise<string> {
    return Promise.race([this.#collector, this.#agent].map((program) => program.status.then(() => program.name)));
  }

  /**
   * Stops in the order of the flow, each stage flushed into the next, and moves the last rows into the lake.
   *
   * @throws {AggregateError} If a stage fails; the later ones are flushed nevertheless.
   */
  async stop(): Promise<ChainLedgers> {
    this.#stopEtl.abort();
    const errors: unknown[] = [];
    const attempt = async <T>(step: Promise<T>): Promise<T | null> => {
      try {
        return await step;
      } catch (error) {
        errors.push(error);
        return null;
      }
    };
    const agent = await attempt(this.#agent.stop());
    const collector = await attempt(this.#collector.stop());
    await attempt(this.#etl);
    await attempt(this.#runEtl());
    if (agent === null || collector === null || errors.length > 0) throw new AggregateError(errors, "Cannot stop the chain cleanly");
    return { agent: ledgerOf(agent), collector: ledgerOf(collector) };
  }

  async #runEtlUntilStopped(): Promise<void> {
    const { signal } = this.#stopEtl;
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ETL_INTERVAL_MS);
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      });
      if (signal.aborted) return;
      try {
        await this.#runEtl();
      } catch (error) {
        if (!(error instanceof EtlError)) throw error;
        this.#config.onProblem(error.message); // the rows stay in the topic, and the next run finds them
      }
    }
  }

  async #runEtl(): Promise<void> {
    const job = await runJob(["run", "etl", "--topic", topicUrl(this.#config), "--lake", lakePath(this.#config)]);
    if (!job.success) throw new EtlError(`Cannot move the topic into the lake: ${job.stderr}`);
  }
}

/** Runs a job to its end. */
export async function runJob(
  args: readonly string[],
): Promise<{ readonly success: boolean; readonly stdout: string; readonly stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...await taskArguments("jobs"), ...args],
    cwd: new URL("../", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  });
  const { success, stdout, stderr } = await command.output();
  return { success, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

export function topicUrl(config: Pick<ChainConfig, "dataDirectory">): string {
  return `sqlite:${config.dataDirectory}/topic.db`;
}

export function lakePath(config: Pick<ChainConfig, "dataDirectory">): string {
  return `${config.dataDirectory}/lake`;
}

function ledgerOf(line: LogLine): Readonly<Record<string, number>> {
  const ledger = line["ledger"];
  if (typeof ledger !== "object" || ledger === null) {
    throw new TypeError(`Cannot read the ledger of ${line.program}: ${JSON.stringify(line)}`);
  }
  return ledger as Record<string, number>;
}
