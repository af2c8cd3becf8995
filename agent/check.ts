/** `agent check`: says which rung this host gets, and proves it. */

import type { KernelPrograms } from "./kernel.ts";
import { chooseRung, type Verdict } from "./ladder.ts";

/**
 * Prints the rung that is taken and the outcome of its self-test on stdout; with `explain`, of every rung above it why not.
 *
 * @throws {NoRungError} If no rung can be had, the kernel refuses each, or a field of each is wrong.
 */
export function check({ explain, rung }: { readonly explain?: boolean | undefined; readonly rung?: string | undefined }): void {
  const { rung: taken, verdicts, comparisons, ...choice } = chooseRung(rung ?? null);
  using kernel = choice.kernel;
  if (explain) { for (const verdict of verdicts) console.log(explanation(verdict)); }
  console.log(`attached: rung ${taken.name}, release hook ${kernel.releaseHookMissing ?? "attached"}`);
  console.log(`udp: ${udpOf(kernel)}`);
  const hooks = kernel.hookCounts();
  if (hooks !== null) console.log(`hooks: ${Object.entries(hooks).map(([name, count]) => `${name} ${count}`).join(", ")}`);
  const { length } = comparisons;
  console.log(`self-test: ${length} of ${length} fields as the kernel's own TCP_INFO and the bytes that were sent`);
}

function explanation({ rung, reason }: Verdict): string {
  return `rung ${rung}: ${reason === null ? "taken" : `not taken: ${reason}`}`;
}

function udpOf({ udp, udpMissing }: KernelPrograms): string {
  if (udpMissing !== null) return udpMissing;
  return udp?.amountsKnown
    ? "attached"
    : "attached, without amounts: the kernel has neither tracepoint sock_send_length nor ends of functions";
}
