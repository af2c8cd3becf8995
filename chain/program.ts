/** Runs the programs of the chain as processes of their own, with the permissions that deno.json gives them. */

import { TextLineStream } from "./text_line_stream.ts";

/** One line of a program's log (lib/log.ts). */
export interface LogLine {
  readonly level: string;
  readonly program: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

const PROJECT = new URL("../", import.meta.url);

/**
 * Arguments of the `deno` command that runs a task of deno.json; the one place where permissions are written.
 *
 * @throws {SyntaxError} If there is no such task, or it is no plain `deno run ...`.
 */
export async function taskArguments(task: string): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", PROJECT)));
  const words = String(tasks[task]).split(" ");
  if (words.shift() !== "deno" || words[0] !== "run") throw new SyntaxError(`Cannot run task "${task}": "${tasks[task]}" is no "deno run"`);
  return words;
}

/** A program that is running. Its log is followed; its warnings and errors are handed on. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiting: { message: string; resolve: (line: LogLine) => void }[] = [];
  readonly #followed: Promise<void>;
  readonly status: Promise<Deno.CommandStatus>;

  private constructor(readonly name: string, child: Deno.ChildProcess, onProblem: (line: string) => void) {
    this.#child = child;
    this.#followed = this.#follow(onProblem);
    this.status = this.#followed.then(() => child.status);
  }

  /**
   * Starts a task in a process group of its own, so that an interrupt from the terminal reaches the chain first and stops
   * the programs in order.
   */
  static async start(task: string, args: readonly string[], onProblem: (line: string) => void): Promise<Program> {
    const command = new Deno.Command(Deno.execPath(), {
      args: [...await taskArguments(task), ...args],
      cwd: PROJECT,
      stdin: "null",
      stdout: "inherit",
      stderr: "piped",
      detached: true,
    });
    return new Program(task, command.spawn(), onProblem);
  }

  /**
   * Waits for a message of the log.
   *
   * @throws {Error} If the program ends without it; the message holds what it logged last.
   */
  async message(message: string): Promise<LogLine> {
    const seen = this.#lines.find((line) => line.message === message);
    if (seen !== undefined) return seen;
    const { promise, resolve } = Promise.withResolvers<LogLine>();
    this.#waiting.push({ message, resolve });
    const line = await Promise.race([promise, this.status]);
    if ("level" in line) return line;
    throw new Error(`Cannot run ${this.name}: it ended with ${line.code} before "${message}": ${this.#lastError()}`);
  }

  /**
   * Ends the program as its operator would, and waits until it has flushed everything.
   *
   * @returns Its last words, with its ledger.
   * @throws {Error} If it fails.
   */
  async stop(): Promise<LogLine> {
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself; why is said below
    }
    const line = await this.message("stopped");
    const { success, code } = await this.status;
    if (!success) throw new Error(`Cannot stop ${this.name}: it ended with ${code}: ${this.#lastError()}`);
    return line;
  }

  #lastError(): string {
    return String(this.#lines.findLast((line) => line.level === "error")?.["error"] ?? "it said nothing");
  }

  async #follow(onProblem: (line: string) => void): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      const line = parseLogLine(text);
      if (line === null || line.level !== "info") onProblem(text);
      if (line === null) continue;
      this.#lines.push(line);
      for (const waiting of this.#waiting) if (waiting.message === line.message) waiting.resolve(line);
    }
  }
}

/** Null where the line is no log line, such as the runtime's own words before the program begins. */
function parseLogLine(text: string): LogLine | null {
  if (!text.startsWith("{")) return null;
  const line: unknown = JSON.parse(text);
  return typeof line === "object" && line !== null && "level" in line && "message" in line ? line as LogLine : null;
}
