/** Keeps the agent's own cost under its limit: over it, the agent does less, by named steps; under it, step by step back. */

/** How much the agent does. Each step includes what the ones before it leave out. */
export interface Step {
  readonly name: string;
  /** How often open conversations are reported; null where they are reported at their end alone. */
  readonly interimIntervalMs: number | null;
  /** Of so many conversations one is followed; the ends of the others' are counted as dropped flows. */
  readonly keepOneIn: number;
}

/** Over how long the cost is measured, and the step decided. */
export const WINDOW_MS = 10_000;
const INTERIM_INTERVAL_MS_MAX = 60_000;
const KEEP_ONE_IN: readonly number[] = [2, 4, 8, 16, 32, 64];
/** Steps are taken back after so many windows in a row below the share of the limit. */
const CALM_WINDOWS = 3, CALM_SHARE = 0.5;
/** How many steps halve the cost, at least, as far as it is one that the steps lower: the first ones alone do less. */
const STEPS_TO_HALVE = 2;
/** The share of the limit that is aimed at, so that the next window, which is never quite the same, is not over it again. */
const AIM_SHARE = 0.9;

/** Steps from "everything" on, for an interim interval. */
export function stepsFor(interimIntervalMs: number): Step[] {
  const steps: Step[] = [{ name: "everything", interimIntervalMs, keepOneIn: 1 }];
  for (let factor = 2; interimIntervalMs * factor / 2 < INTERIM_INTERVAL_MS_MAX; factor *= 2) {
    const lengthened = Math.min(interimIntervalMs * factor, INTERIM_INTERVAL_MS_MAX);
    steps.push({ name: `interim_interval_x${factor}`, interimIntervalMs: lengthened, keepOneIn: 1 });
  }
  steps.push({ name: "ends_only", interimIntervalMs: null, keepOneIn: 1 });
  for (const keepOneIn of KEEP_ONE_IN) steps.push({ name: `one_in_${keepOneIn}`, interimIntervalMs: null, keepOneIn });
  return steps;
}

/** Where the governor stands. */
export interface GovernorState {
  /** Index of the step in force. */
  readonly step: number;
  readonly calmWindows: number;
}

/**
 * The state after a window that cost `cpuPercent`. The farther over the limit, the more steps at once; and no more steps back
 * at once than leave the cost below the limit, where each doubles it.
 */
export function afterWindow(state: GovernorState, cpuPercent: number, limitPercent: number, stepCount: number): GovernorState {
  if (cpuPercent > limitPercent) {
    const steps = Math.max(1, Math.ceil(STEPS_TO_HALVE * Math.log2(cpuPercent / (limitPercent * AIM_SHARE))));
    return { step: Math.min(state.step + steps, stepCount - 1), calmWindows: 0 };
  }
  if (cpuPercent > limitPercent * CALM_SHARE || state.step === 0) return { step: state.step, calmWindows: 0 };
  const calmWindows = state.calmWindows + 1;
  if (calmWindows < CALM_WINDOWS) return { step: state.step, calmWindows };
  const steps = Math.max(1, Math.floor(Math.log2(limitPercent / cpuPercent)));
  return { step: Math.max(0, state.step - steps), calmWindows: 0 };
}

/** Measures windows of a cost, and holds the step that they lead to. */
export class Governor {
  readonly #cpuNs: () => number;
  readonly #kernelPercent: () => number | null;
  #limitPercent: number;
  #steps: readonly Step[];
  #state: GovernorState = { step: 0, calmWindows: 0 };
  #windowStart: { readonly atMs: number; readonly cpuNs: number } | null = null;
  #cpuPercent = 0;
  #stepChanges = 0;
  #droppedFlows = 0;

  /**
   * @param cpuNs Processor time that the agent's process has taken since it started.
   * @param kernelPercent What the kernel programs take beside, of one core; null where that is not known.
   */
  constructor(cpuNs: () => number, kernelPercent: () => number | null, limitPercent: number, interimIntervalMs: number) {
    this.#cpuNs = cpuNs;
    this.#kernelPercent = kernelPercent;
    this.#limitPercent = limitPercent;
    this.#steps = stepsFor(interimIntervalMs);
  }

  get step(): Step {
    return this.#steps[this.#state.step]!;
  }

  /** 0 while everything is done. */
  get stepIndex(): number {
    return this.#state.step;
  }

  /** Process and kernel programs, of one core, in the last window. */
  get cpuPercent(): number {
    return this.#cpuPercent;
  }

  get stepChanges(): number {
    return this.#stepChanges;
  }

  /** Flows that `keeps()` refused. */
  get droppedFlows(): number {
    return this.#droppedFlows;
  }

  /** Puts another limit and interval into force; a step that is not there any more becomes the last. */
  configure(limitPercent: number, interimIntervalMs: number): void {
    this.#limitPercent = limitPercent;
    this.#steps = stepsFor(interimIntervalMs);
    this.#state = { step: Math.min(this.#state.step, this.#steps.length - 1), calmWindows: 0 };
  }

  /**
   * To be called often: at the end of a window it decides on the step. The first call starts the first window.
   *
   * @returns Whether another step is in force now.
   */
  tick(nowMs: number): boolean {
    const start = this.#windowStart;
    if (start !== null && nowMs - start.atMs < WINDOW_MS) return false;
    const cpuNs = this.#cpuNs();
    this.#windowStart = { atMs: nowMs, cpuNs };
    if (start === null) return false;
    this.#cpuPercent = (cpuNs - start.cpuNs) / (nowMs - start.atMs) / 1e4 + (this.#kernelPercent() ?? 0);
    const before = this.#state.step;
    this.#state = afterWindow(this.#state, this.#cpuPercent, this.#limitPercent, this.#steps.length);
    if (this.#state.step === before) return false;
    this.#stepChanges++;
    return true;
  }

  /** Whether a flow is reported; all flows of a conversation are, or none, while a step lasts. */
  keeps(flow: { readonly flow_id: number }): boolean {
    if (flow.flow_id % this.step.keepOneIn === 0) return true;
    this.#droppedFlows++;
    return false;
  }
}
