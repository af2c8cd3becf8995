/** What the kernel programs cost the host: measured for a second of every ten, as to measure costs each of their runs something. */

import { WINDOW_MS } from "./governor.ts";

const SAMPLE_MS = 1_000;

/** What is measured, and how that is switched on. */
export interface RunStatistics {
  /** How long the programs ran while statistics were on. */
  readonly runNs: () => number;
  /** Statistics are on until the answer is disposed of; null where the kernel refuses. */
  readonly enable: () => Disposable | null;
}

/** The programs' share of one core. What they take in the agent's own calls is left out: the agent's process has it. */
export class KernelCost implements Disposable {
  readonly #statistics: RunStatistics;
  readonly #random: () => number;
  #sample: { readonly startMs: number; readonly startNs: number; readonly statistics: Disposable } | null = null;
  #nextMs = 0;
  #percent: number | null = null;

  /** @param random As Math.random(): when in its ten seconds a sample is taken, so that no rhythm of the host is always met, or missed. */
  constructor(statistics: RunStatistics, random: () => number = Math.random) {
    this.#statistics = statistics;
    this.#random = random;
  }

  /** Of one core in the last sample; null as long as there is none, or where the kernel refuses. */
  get percent(): number | null {
    return this.#percent;
  }

  /** To be called often. */
  tick(nowMs: number): void {
    if (this.#sample !== null) {
      const { startMs, startNs, statistics } = this.#sample;
      if (nowMs - startMs < SAMPLE_MS) return;
      this.#percent = (this.#statistics.runNs() - startNs) / (nowMs - startMs) / 1e4;
      statistics[Symbol.dispose]();
      this.#sample = null;
    } else if (nowMs >= this.#nextMs) {
      this.#nextMs = (Math.floor(nowMs / WINDOW_MS) + 1) * WINDOW_MS + this.#random() * (WINDOW_MS - 2 * SAMPLE_MS);
      const statistics = this.#statistics.enable();
      if (statistics === null) this.#percent = null;
      else this.#sample = { startMs: nowMs, startNs: this.#statistics.runNs(), statistics };
    }
  }

  [Symbol.dispose](): void {
    this.#sample?.statistics[Symbol.dispose]();
    this.#sample = null;
  }
}
