/** Starts the load of bench/load/connections.c, which is compiled when it is first needed. */

import { TextLineStream } from "../chain/text_line_stream.ts";
import { CACHE } from "../tools/cache.ts";
import { outputOf } from "./processes.ts";

/** What the load has done at its end. */
export interface LoadResult {
  readonly connections: number;
  readonly seconds: number;
}

export class ConnectionLoad implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
    this.#input = child.stdin.getWriter();
  }

  /** Resolves when `open` connections stand, both ends on this host. */
  static async start(open: number, perSecond: number, seconds: number): Promise<ConnectionLoad> {
    const program = await compiled("connections");
    const args = [open, perSecond, seconds].map(String);
    const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    const load = new ConnectionLoad(child);
    if ((await load.#lines.read()).value !== "ready") throw new Error(`Cannot start the load: ${args.join(" ")}`);
    return load;
  }

  /** Opens and closes connections at the rate; those that stand go on standing until disposal. */
  async run(): Promise<LoadResult> {
    await this.#input.write(new Uint8Array(1));
    const { value } = await this.#lines.read();
    const [connections, seconds] = (value ?? "").split(" ").map(Number);
    if (connections === undefined || seconds === undefined) throw new Error(`Cannot read the load's result: "${value}"`);
    return { connections, seconds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }
}

/** Path of a program of bench/load/, compiled when it is first needed. */
export async function compiled(name: string): Promise<string> {
  await Deno.mkdir(`${CACHE}/bin`, { recursive: true });
  const path = `${CACHE}/bin/${name}`;
  await outputOf("clang-14", "-O2", "-Wall", "-Werror", "-o", path, new URL(`load/${name}.c`, import.meta.url).pathname, "-lpthread");
  return path;
}
