/** `agent check`: says which rung this host gets, and proves it. */

import { chooseRung, type Verdict } from "./ladder.ts";

/**
 * Prints the rung that is taken and the outcome of its self-test on stdout; with `explain`, of every rung above it why not.
 *
 * @throws {NoRungError} If no rung can be had, the kernel refuses each, or a field of each is wrong.
 */
export function check({ explain, rung }: { readonly explain?: boolean | undefined; readonly rung?: string | undefined }): void {
  const choice = chooseRung(rung ?? null);
  if (explain) { for (const verdict of choice.verdicts) console.log(explanation(verdict)); }
  console.log(`attached: rung ${choice.rung.name}, release hook ${choice.releaseHookMissing ?? "attached"}`);
  console.log(`udp: ${choice.udp}`);
  if (choice.hookCounts !== null) {
    console.log(`hooks: ${Object.entries(choice.hookCounts).map(([name, count]) => `${name} ${count}`).join(", ")}`);
  }
  const { length } = choice.comparisons;
  console.log(`self-test: ${length} of ${length} fields as the kernel's own TCP_INFO and the bytes that were sent`);
}

function explanation({ rung, reason }: Verdict): string {
  return `rung ${rung}: ${reason === null ? "taken" : `not taken: ${reason}`}`;
}
