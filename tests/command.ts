/** Starts tasks of deno.json as a user would, with the permissions written there, and waits for what they say. */

import { taskArguments } from "../chain/program.ts";
import { TextLineStream } from "../chain/text_line_stream.ts";
import { PROJECT } from "./sources.ts";

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Command that something is put before, such as `unshare -m`. */
export type Prefix = readonly string[];

/** A task that runs; its output is kept. */
export class RunningTask {
  readonly #child: Deno.ChildProcess;
  readonly #lines: string[] = [];
  readonly #waiting: { readonly part: string; readonly resolve: (line: string) => void }[] = [];
  readonly ended: Promise<Ended>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    const out = this.#follow(child.stdout), err = this.#follow(child.stderr);
    this.ended = Promise.all([out, err, child.status]).then(([stdout, stderr, { code }]) => ({ code, stdout, stderr }));
  }

  static async start(task: string, args: readonly string[], prefix: Prefix = []): Promise<RunningTask> {
    const command = [...prefix, Deno.execPath(), ...await taskArguments(task), ...args];
    return new RunningTask(
      new Deno.Command(command[0]!, { args: command.slice(1), cwd: PROJECT, stdin: "null", stdout: "piped", stderr: "piped" }).spawn(),
    );
  }

  /**
   * The first line of either stream that holds `part`.
   *
   * @throws {Error} If the task ends without it.
   */
  async line(part: string): Promise<string> {
    const seen = this.#lines.find((line) => line.includes(part));
    if (seen !== undefined) return seen;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.push({ part, resolve });
    const first = await Promise.race([promise, this.ended]);
    if (typeof first === "string") return first;
    throw new Error(`Cannot see "${part}": the task ended with ${first.code}: ${first.stdout}${first.stderr}`);
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async #follow(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
    let text = "";
    for await (const line of stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      text += `${line}\n`;
      this.#lines.push(line);
      for (const { part, resolve } of this.#waiting) if (line.includes(part)) resolve(line);
    }
    return text;
  }
}

/** Runs a task to its end. */
export async function runTask(task: string, args: readonly string[], prefix: Prefix = []): Promise<Ended> {
  return await (await RunningTask.start(task, args, prefix)).ended;
}

/** Starts the task as a user who may do nothing, but owns the files. */
export const WITHOUT_CAPABILITIES: Prefix = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];

/** Runs `script` in a mount namespace of its own before the task, so that what it hides is hidden from the task alone. */
export function afterHiding(script: string): Prefix {
  return ["unshare", "--mount", "sh", "-ec", `${script}\nexec "$@"`, "sh"];
}
