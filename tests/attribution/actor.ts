/** The processes of the attribution suite (actor.c), and what they say of themselves. */

import { TextLineStream } from "../../chain/text_line_stream.ts";

/** One end of one connection, as its own process knows it. */
export interface Truth {
  /** "held": by a process that passed the connection on; "nobody": no process may be named. */
  readonly end: "client" | "server" | "held" | "nobody";
  /** ADDRESS:PORT of this end, and of the other. */
  readonly local: string;
  readonly remote: string;
  readonly pid: number;
  readonly cgroup_path: string;
  readonly executable_path: string;
  readonly command_line: string;
}

/** Compiles actor.c into `folder`; the path of the program. */
export async function compileActor(folder: string): Promise<string> {
  const program = `${folder}/actor`;
  const source = new URL("actor.c", import.meta.url).pathname;
  await run(["gcc", "-O2", "-Wall", "-Werror", "-static", "-pthread", source, "-o", program]);
  return program;
}

/** Runs a command to its end. @throws {Error} If it fails. */
export async function run(command: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  })
    .output();
  if (!success) throw new Error(`Cannot run "${command.join(" ")}": ${new TextDecoder().decode(stderr)}`);
}

/** Starts processes, and gathers the truth from them; every one that still runs is killed at the end. */
export class Yard implements AsyncDisposable {
  readonly #program: string;
  readonly #running = new Set<Actor>();
  readonly #endings: (() => Promise<void>)[] = [];
  truths: Truth[] = [];

  constructor(program: string) {
    this.#program = program;
  }

  /** Starts actor.c with its arguments; `prefix` is put before it, `program` in its place. */
  start(args: readonly (string | number)[], prefix: readonly string[] = [], program = this.#program): Actor {
    const truths = this.truths; // a scenario's, also for what is told after it
    const actor = new Actor([...prefix, program, ...args.map(String)], (truth) => truths.push(truth));
    this.#running.add(actor);
    return actor;
  }

  /** Runs actor.c to its end. @throws {Error} If it fails. */
  async finish(args: readonly (string | number)[], prefix: readonly string[] = []): Promise<void> {
    await this.start(args, prefix).succeeded();
  }

  /** Another name for the same program. */
  async copyProgram(name: string): Promise<string> {
    const copy = this.#program.replace(/[^/]*$/, name);
    await Deno.copyFile(this.#program, copy);
    return copy;
  }

  get program(): string {
    return this.#program;
  }

  /** Runs `ending` after every process was killed, the last first. */
  onEnd(ending: () => Promise<void>): void {
    this.#endings.push(ending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const actor of this.#running) await actor.kill("SIGKILL");
    for (const ending of this.#endings.reverse()) await ending();
  }
}

/** A process that runs, with those that it forks. */
export class Actor {
  readonly #command: readonly string[];
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<void>;
  readonly #port = Promise.withResolvers<number>();
  #told = 0;

  constructor(command: readonly string[], onTruth: (truth: Truth) => void) {
    this.#command = command;
    this.#child = new Deno.Command(command[0]!, { args: command.slice(1), stdin: "null", stdout: "piped", stderr: "inherit" }).spawn();
    this.#output = this.#read(onTruth);
  }

  /** Where it listens, once it does. */
  get port(): Promise<number> {
    return this.#port.promise;
  }

  /** Waits until it has told of `count` ends. */
  async told(count: number): Promise<void> {
    for (let waits = 0; this.#told < count; waits++) {
      if (waits === 1_000) throw new Error(`Cannot run "${this.#command.join(" ")}": it told of ${this.#told} ends, needed ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async succeeded(): Promise<void> {
    const { code } = await this.#child.status;
    await this.#output;
    if (code !== 0) throw new Error(`Cannot run "${this.#command.join(" ")}": it ended with ${code}`);
  }

  signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  }

  async kill(signal: Deno.Signal): Promise<void> {
    this.signal(signal);
    await this.#child.status;
    await this.#output;
  }

  async #read(onTruth: (truth: Truth) => void): Promise<void> {
    for await (const line of this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      const [end, local, remote, pid, cgroup_path, executable_path, command_line] = line.split("\t");
      if (end === "ready") {
        this.#port.resolve(Number(local));
      } else {
        onTruth({ end, local, remote, pid: Number(pid), cgroup_path, executable_path, command_line } as Truth);
        this.#told++;
      }
    }
    this.#port.reject(new Error(`Cannot run "${this.#command.join(" ")}": it ended before it listened`));
    this.#port.promise.catch((error) => error); // clients never listen
  }
}
