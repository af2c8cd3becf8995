/** A job in a process of its own that a fault may befall. */

import { taskArguments } from "../../chain/program.ts";
import { faultEnvironment, type FaultReport, readFaultLog, type StepFault } from "./preload.ts";

const HANG_MS = 600_000;
const POLL_MS = 20;

export interface JobEnd extends FaultReport {
  readonly code: number;
  readonly signal: string | null;
  readonly stderr: string;
}

/** Where processes run and what brings faults into them. */
export interface FaultPlace {
  readonly library: string;
  /** Folder whose steps are counted. */
  readonly folder: string;
  /** Folder for the logs of faults. */
  readonly scratch: string;
  /** Folder of the program. */
  readonly project: URL;
}

export class JobProcess {
  readonly #child: Deno.ChildProcess;
  readonly #logPath: string;
  readonly ended: Promise<JobEnd>;
  #hasEnded = false;

  private constructor(child: Deno.ChildProcess, logPath: string, command: string) {
    this.#child = child;
    this.#logPath = logPath;
    this.ended = this.#end(command);
  }

  static async start(args: readonly string[], place: FaultPlace, fault: StepFault): Promise<JobProcess> {
    const logPath = `${place.scratch}/${crypto.randomUUID()}`;
    const child = new Deno.Command(Deno.execPath(), {
      args: [...await taskArguments("jobs"), ...args],
      cwd: place.project,
      env: faultEnvironment(place.library, place.folder, logPath, fault),
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new JobProcess(child, logPath, args.join(" "));
  }

  /** Resolves when the fault has stopped the process, or it has ended. */
  async stopped(): Promise<"stopped" | "ended"> {
    while (!this.#hasEnded) {
      if (await this.struck() !== null && await isStopped(this.#child.pid)) return "stopped";
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return "ended";
  }

  /** The step before which the fault came; null where it has not come yet. */
  async struck(): Promise<string | null> {
    return (await readFaultLog(this.#logPath)).struck;
  }

  signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has just ended
    }
  }

  async #end(command: string): Promise<JobEnd> {
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      this.#child.kill("SIGKILL");
    }, HANG_MS);
    const { code, signal, stderr } = await this.#child.output();
    this.#hasEnded = true;
    clearTimeout(timer);
    const report = await readFaultLog(this.#logPath);
    await removeIfPresent(this.#logPath);
    const text = new TextDecoder().decode(stderr);
    if (hung) throw new Error(`Cannot go on: "${command}" has not ended after ${HANG_MS} ms: ${text}`);
    return { code, signal, stderr: text, ...report };
  }
}

async function isStopped(pid: number): Promise<boolean> {
  try {
    return /^State:\s+T/m.test(await Deno.readTextFile(`/proc/${pid}/status`));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return false;
  }
}

async function removeIfPresent(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
