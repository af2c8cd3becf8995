/** The kernel programs' cost, with statistics and a clock of the test's own. */

import assert from "node:assert/strict";
import { KernelCost } from "./kernel_cost.ts";

/** Programs that take a share of a core, counted while statistics are on; ticks every 50 ms. */
class Rehearsal {
  share = 0.02;
  isAllowed = true;
  onMs = 0;
  #isOn = false;
  #runNs = 0;
  #nowMs = 12_340;
  readonly cost = new KernelCost({
    runNs: () => this.#runNs,
    enable: () => {
      if (!this.isAllowed) return null;
      this.#isOn = true;
      return { [Symbol.dispose]: () => void (this.#isOn = false) };
    },
  }, () => 0.5);

  pass(ms: number): void {
    for (let t = 0; t < ms; t += 50) {
      this.cost.tick(this.#nowMs);
      this.#nowMs += 50;
      if (!this.#isOn) continue;
      this.onMs += 50;
      this.#runNs += 50e6 * this.share;
    }
  }

  get isOn(): boolean {
    return this.#isOn;
  }
}

Deno.test("KernelCost measures for a second of every ten", () => {
  const rehearsal = new Rehearsal();
  rehearsal.pass(100_000);
  assert.ok(rehearsal.onMs >= 9_000 && rehearsal.onMs <= 11_000, `${rehearsal.onMs} ms of 100 s`);
});

Deno.test("KernelCost knows a share of a core, anew with each sample", () => {
  const rehearsal = new Rehearsal();
  assert.equal(rehearsal.cost.percent, null);
  rehearsal.pass(1_100);
  assert.equal(rehearsal.cost.percent, 2);
  rehearsal.share = 0.001;
  rehearsal.pass(20_000);
  assert.ok(Math.abs(rehearsal.cost.percent! - 0.1) < 1e-9);
});

Deno.test("KernelCost does without where the kernel refuses, and asks again", () => {
  const rehearsal = new Rehearsal();
  rehearsal.isAllowed = false;
  rehearsal.pass(30_000);
  assert.equal(rehearsal.cost.percent, null);
  rehearsal.isAllowed = true;
  rehearsal.pass(20_000);
  assert.equal(rehearsal.cost.percent, 2);
});

Deno.test("KernelCost switches statistics off when it is disposed of in the middle of a sample", () => {
  const rehearsal = new Rehearsal();
  rehearsal.pass(500);
  assert.equal(rehearsal.isOn, true);
  rehearsal.cost[Symbol.dispose]();
  assert.equal(rehearsal.isOn, false);
});
