/** The governor, with a clock and a cost of the test's own. */

import assert from "node:assert/strict";
import { afterWindow, Governor, stepsFor, WINDOW_MS } from "./governor.ts";

const LIMIT_PERCENT = 5;

/** A governor whose windows cost what the test says. */
class Rehearsal {
  #nowMs = 0;
  #cpuNs = 0;
  kernelPercent: number | null = null;
  readonly governor = new Governor(() => this.#cpuNs, () => this.kernelPercent, LIMIT_PERCENT, 10_000);

  constructor() {
    this.governor.tick(0);
  }

  /** Lets windows pass, and returns the names of the steps after each. */
  windows(cpuPercent: number, count: number): string[] {
    return Array.from({ length: count }, () => {
      this.#nowMs += WINDOW_MS;
      this.#cpuNs += WINDOW_MS * 1e6 * cpuPercent / 100;
      this.governor.tick(this.#nowMs - 1); // too early to decide
      this.governor.tick(this.#nowMs);
      return this.governor.step.name;
    });
  }
}

Deno.test("stepsFor() doubles the interval up to 60 s, then reports ends alone, then some of them", () => {
  assert.deepEqual(stepsFor(10_000).map(({ name, interimIntervalMs, keepOneIn }) => [name, interimIntervalMs, keepOneIn]), [
    ["everything", 10_000, 1],
    ["interim_interval_x2", 20_000, 1],
    ["interim_interval_x4", 40_000, 1],
    ["interim_interval_x8", 60_000, 1],
    ["ends_only", null, 1],
    ...[2, 4, 8, 16, 32, 64].map((n) => [`one_in_${n}`, null, n]),
  ]);
  assert.deepEqual(stepsFor(60_000).slice(0, 2).map(({ name }) => name), ["everything", "ends_only"]);
});

Deno.test("Governor goes a step further after each window over the limit, and stays at the last", () => {
  const { windows, governor } = rehearse();
  assert.deepEqual(windows(6, 5), ["interim_interval_x2", "interim_interval_x4", "interim_interval_x8", "ends_only", "one_in_2"]);
  assert.equal(windows(6, 10).at(-1), "one_in_64");
  assert.deepEqual([governor.stepIndex, governor.stepChanges], [10, 10]);
});

Deno.test("Governor stays where it is between half the limit and the limit", () => {
  const { windows } = rehearse();
  windows(6, 1);
  assert.equal(new Set(windows(4, 20)).size, 1);
  assert.equal(new Set(windows(5, 20)).size, 1);
});

Deno.test("Governor goes several steps at once where it is far over the limit: two for each halving that is needed", () => {
  const stepAfter = (cpuPercent: number) => afterWindow({ step: 0, calmWindows: 0 }, cpuPercent, LIMIT_PERCENT, 11).step;
  assert.deepEqual([5.01, 6.3, 6.4, 9, 11, 20, 1_000].map(stepAfter), [1, 1, 2, 2, 3, 5, 10]);
});

Deno.test("Governor takes several steps back at once only where doubling the cost with each leaves it under the limit", () => {
  const stepAfter = (cpuPercent: number) => afterWindow({ step: 9, calmWindows: 2 }, cpuPercent, LIMIT_PERCENT, 11).step;
  assert.deepEqual([2.5, 1.3, 1.2, 0.6, 0.1, 0].map(stepAfter), [8, 8, 7, 6, 4, 0]);
});

Deno.test("Governor counts what the kernel programs take, where that is known", () => {
  const rehearsal = new Rehearsal();
  assert.deepEqual(rehearsal.windows(4, 1), ["everything"]);
  rehearsal.kernelPercent = 1.1;
  assert.deepEqual(rehearsal.windows(4, 1), ["interim_interval_x2"]);
  assert.equal(rehearsal.governor.cpuPercent, 5.1);
});

Deno.test("Governor takes a step back after three calm windows in a row, and an uneasy one starts the count anew", () => {
  const { windows } = rehearse();
  windows(6, 2);
  const [x4, x2] = ["interim_interval_x4", "interim_interval_x2"];
  assert.deepEqual(windows(2, 2), [x4, x4]);
  assert.deepEqual(windows(3, 1), [x4]);
  assert.deepEqual(windows(2, 6), [x4, x4, x2, x2, x2, "everything"]);
});

Deno.test("Governor measures its share of a core", () => {
  const { windows, governor } = rehearse();
  windows(2.5, 1);
  assert.equal(governor.cpuPercent, 2.5);
});

Deno.test("Governor keeps whole conversations, and counts the flows of the others", () => {
  const { windows, governor } = rehearse();
  assert.equal(windows(6, 6).at(-1), "one_in_4");
  const kept = Array.from({ length: 100 }, (_, flow_id) => governor.keeps({ flow_id }));
  assert.deepEqual([kept.filter(Boolean).length, governor.droppedFlows], [25, 75]);
  assert.deepEqual(Array.from({ length: 100 }, (_, flow_id) => governor.keeps({ flow_id })), kept);
});

Deno.test("Governor.configure() keeps the step, as far as there is one", () => {
  const { windows, governor } = rehearse();
  windows(6, 15);
  governor.configure(50, 60_000);
  assert.equal(governor.step.name, "one_in_64");
  assert.equal(windows(20, 3).at(-1), "one_in_32");
});

Deno.test("afterWindow() never leaves the steps", () => {
  assert.deepEqual(afterWindow({ step: 0, calmWindows: 0 }, 0, 5, 3), { step: 0, calmWindows: 0 });
  assert.deepEqual(afterWindow({ step: 2, calmWindows: 0 }, 99, 5, 3), { step: 2, calmWindows: 0 });
});

function rehearse(): { readonly windows: Rehearsal["windows"]; readonly governor: Governor } {
  const rehearsal = new Rehearsal();
  return { windows: (cpuPercent, count) => rehearsal.windows(cpuPercent, count), governor: rehearsal.governor };
}
