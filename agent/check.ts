/** `agent check`: says which rung this host gets, and proves it. */

import { chooseRung, KernelPrograms, RUNGS } from "./kernel.ts";
import { selfTest } from "./known_answer.ts";
import { selfTestUdp } from "./known_answer_udp.ts";

/**
 * Prints the ladder and the outcome of the self-test on stdout.
 *
 * @throws {Error} If no rung can be had, the kernel refuses it, or a field is wrong.
 */
export function check(): void {
  for (const rung of RUNGS) console.log(`rung ${rung.name}: ${rung.missing() ?? "available"}`);
  const rung = chooseRung();
  using kernel = new KernelPrograms(rung);
  console.log(`attached: rung ${rung.name}, release hook ${kernel.releaseHookMissing ?? "attached"}`);
  const udp = kernel.udp?.amountsKnown
    ? "attached"
    : "attached, without amounts: the kernel has no tracepoint sock_send_length (since 6.3)";
  console.log(`udp: ${kernel.udpMissing ?? udp}`);
  const comparisons = [
    ...selfTest(kernel),
    ...(kernel.udp?.amountsKnown && kernel.udpMissing === null ? selfTestUdp(kernel.udp, () => {}) : []),
  ];
  const wrong = comparisons.filter(({ expected, actual }) => expected !== actual);
  for (const { field, expected, actual } of wrong) console.log(`wrong: ${field}: ${actual ?? "not reported"}, needed ${expected}`);
  if (wrong.length > 0) throw new Error(`Cannot trust rung "${rung.name}": ${wrong.length} of ${comparisons.length} fields are wrong`);
  console.log(`self-test: ${comparisons.length} of ${comparisons.length} fields as the kernel's own TCP_INFO and the bytes that were sent`);
}
