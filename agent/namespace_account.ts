/** One network namespace's connections as the kernel counted them and as the agent did, at the same moments. */

/** Counts of one moment, or of a period, in an order of the caller's. */
export type Counts = readonly number[];

/** A moment at which the kernel's counts were read. */
interface Checkpoint {
  readonly atNs: number;
  readonly kernel: Counts;
  /** What the agent knows by now to have happened between the checkpoint before and this one. */
  readonly agent: number[];
}

/** Kernel's count without the agent's, since the account began. */
export interface Difference {
  readonly kernel: number;
  /** At the newest checkpoint that is complete. */
  readonly present: number;
  /** What all checkpoints that are kept have in common: the smallest of one sign, else 0. The first one's is 0. */
  readonly persistent: number;
}

/** Checkpoints kept: at one each 10 s more than the 127 s that an attempt to connect may take (tcp_syn_retries of 6). */
export const CHECKPOINTS_MAX = 16;

/**
 * Each connection is told some time after it began, so that a count of what was told lags behind the kernel's. What is told
 * has the time at which it happened, however: it is added to every checkpoint since, and a checkpoint's difference settles at
 * what the agent missed.
 */
export class NamespaceAccount {
  readonly #beginNs: number;
  readonly #begin: Counts;
  readonly #checkpoints: Checkpoint[];
  #since: number[];
  #completeNs: number;

  constructor(atNs: number, kernel: Counts) {
    this.#beginNs = this.#completeNs = atNs;
    this.#begin = kernel;
    this.#checkpoints = [{ atNs, kernel, agent: kernel.map(() => 0) }];
    this.#since = kernel.map(() => 0);
  }

  /** Adds something that happened at a time of bpf_ktime_get_ns(). */
  count(index: number, atNs: number): void {
    if (atNs <= this.#beginNs) return;
    let period = this.#since;
    for (let i = this.#checkpoints.length - 1; i >= 0 && atNs <= this.#checkpoints[i]!.atNs; i--) period = this.#checkpoints[i]!.agent;
    period[index]!++;
  }

  /** Takes in the kernel's counts; false where they are another namespace's of the same number, as they fell. */
  check(atNs: number, kernel: Counts): boolean {
    const last = this.#checkpoints.at(-1)!;
    if (kernel.some((count, i) => count < last.kernel[i]!)) return false;
    if (last.atNs > this.#completeNs) add(this.#since, this.#checkpoints.pop()!.agent); // no walk came in between
    this.#checkpoints.push({ atNs, kernel, agent: this.#since });
    this.#since = kernel.map(() => 0);
    if (this.#checkpoints.length > CHECKPOINTS_MAX) add(this.#checkpoints[1]!.agent, this.#checkpoints.shift()!.agent);
    return true;
  }

  /** Every connection that was open at the checkpoints so far has been asked since. */
  complete(): void {
    this.#completeNs = this.#checkpoints.at(-1)!.atNs;
  }

  difference(index: number): Difference {
    let kernel = 0, agent = 0;
    const differences: number[] = [];
    for (const checkpoint of this.#checkpoints) {
      if (checkpoint.atNs > this.#completeNs) break;
      kernel = checkpoint.kernel[index]! - this.#begin[index]!;
      agent += checkpoint.agent[index]!;
      differences.push(kernel - agent);
    }
    return { kernel, present: differences.at(-1)!, persistent: inCommon(differences) };
  }

  /** Kernel's count per second between the last two checkpoints. */
  rate(index: number): number {
    const [before, last] = this.#checkpoints.slice(-2);
    if (before === undefined || last === undefined) return 0;
    return (last.kernel[index]! - before.kernel[index]!) / (last.atNs - before.atNs) * 1e9;
  }
}

function add(to: number[], counts: Counts): void {
  for (const [i, count] of counts.entries()) to[i]! += count;
}

function inCommon(differences: readonly number[]): number {
  const smallest = Math.min(...differences), largest = Math.max(...differences);
  return smallest > 0 ? smallest : largest < 0 ? largest : 0;
}
