/** How late messages are in the topic: from when their rows were to leave until the topic has them. */

/** Messages that are remembered; at more a minute, the quantiles are of the latest. */
const MESSAGES_MAX = 4_096;
const REMEMBERED_MS = 60_000;
const QUANTILES = [0.5, 0.99, 1] as const;

export class FlushDelays {
  readonly #delaysMs = new Float64Array(MESSAGES_MAX);
  readonly #timesMs = new Float64Array(MESSAGES_MAX).fill(-Infinity);
  #next = 0;

  note(delayMs: number, nowMs: number): void {
    this.#delaysMs[this.#next] = delayMs;
    this.#timesMs[this.#next] = nowMs;
    this.#next = (this.#next + 1) % MESSAGES_MAX;
  }

  /** Of the messages of the last minute; nothing where there are none. */
  quantiles(nowMs: number): { readonly quantile: number; readonly delayMs: number }[] {
    const delays = this.#delaysMs.filter((_, i) => nowMs - this.#timesMs[i]! <= REMEMBERED_MS).sort();
    if (delays.length === 0) return [];
    return QUANTILES.map((quantile) => ({ quantile, delayMs: delays[Math.min(delays.length - 1, Math.floor(quantile * delays.length))]! }));
  }
}
