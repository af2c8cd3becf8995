/** When open conversations are reported: at times of the wall clock, so that no period lies across the boundary of a minute. */

export const MINUTE_MS = 60_000;
/** The wall clock was set, where it and the monotonic clock have moved apart by so much. */
const STEP_MS = 50;
/** How long, at most, what a report of open conversations gave is held before it is sent. */
const SPREAD_MS_MAX = 5_000;

/** A time on both clocks: performance.now(), and milliseconds since 1970 UTC. */
export interface Now {
  readonly monotonicMs: number;
  readonly unixMs: number;
}

export function now(): Now {
  const unixMs = Date.now(); // first: the other may be later, but not earlier
  return { monotonicMs: performance.now(), unixMs };
}

/** The next report: a whole number of intervals after its minute began, or the beginning of the next minute. */
export function nextReportMs(unixMs: number, intervalMs: number): number {
  const minute = Math.floor(unixMs / MINUTE_MS) * MINUTE_MS;
  return minute + Math.min((Math.floor((unixMs - minute) / intervalMs) + 1) * intervalMs, MINUTE_MS);
}

/** How long a host holds back what a report gave: each its own time, so that a fleet does not send at once. */
export function spreadMs(hostId: string, intervalMs: number): number {
  let hash = 0x811c_9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(hostId)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  hash = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b); // names of one fleet differ at their end, which its upper bits hardly show
  return ((hash ^ hash >>> 13) >>> 0) / 2 ** 32 * Math.min(SPREAD_MS_MAX, intervalMs / 2);
}

/** What is due next: on the monotonic clock, reckoned anew from the wall clock for each report and whenever that was set. */
export class InterimClock {
  #due: { readonly intervalMs: number; readonly unixMs: number; readonly monotonicMs: number; readonly offsetMs: number } | null = null;

  /**
   * Until the next report is due: 0 or less where it is, infinite where there is none.
   *
   * @param intervalMs Null where open conversations are not reported.
   */
  msUntilDue({ monotonicMs, unixMs }: Now, intervalMs: number | null): number {
    if (intervalMs === null) {
      this.#due = null;
      return Infinity;
    }
    const offsetMs = unixMs - monotonicMs, due = this.#due;
    if (due === null || due.intervalMs !== intervalMs || Math.abs(due.offsetMs - offsetMs) > STEP_MS) {
      this.#set(nextReportMs(unixMs, intervalMs), intervalMs, offsetMs);
    }
    return this.#due!.monotonicMs - monotonicMs;
  }

  /** The report was made; where it took beyond the beginning of a minute, the next is due at once. */
  reported({ monotonicMs, unixMs }: Now): void {
    const due = this.#due;
    if (due === null) return;
    const minuteMs = (Math.floor(due.unixMs / MINUTE_MS) + 1) * MINUTE_MS;
    this.#set(unixMs >= minuteMs ? minuteMs : nextReportMs(unixMs, due.intervalMs), due.intervalMs, unixMs - monotonicMs);
  }

  /** A millisecond later than reckoned, as Date.now() is cut: a report before its minute would begin the wrong period. */
  #set(unixMs: number, intervalMs: number, offsetMs: number): void {
    this.#due = { intervalMs, unixMs, monotonicMs: unixMs - offsetMs + 1, offsetMs };
  }
}
