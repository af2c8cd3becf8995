/** Proves the kernel programs again while they observe; whoever chose the rung has done so at the start. */

import { log } from "../lib/log.ts";
import type { KernelPrograms } from "./kernel.ts";
import { type Audience, selfTest, wrongFields } from "./known_answer.ts";
import { selfTestUdp } from "./known_answer_udp.ts";
import type { UdpConversations } from "./udp_conversations.ts";

const INTERVAL_MS = 3_600_000;

/** The self-test from hour to hour, and when it is asked for. */
export class SelfTests {
  readonly #kernel: KernelPrograms;
  readonly #audience: Audience;
  readonly #udpConversations: UdpConversations;
  #nextMs = performance.now() + INTERVAL_MS;
  #runs = 0;
  #failures = 0;

  constructor(kernel: KernelPrograms, audience: Audience, udpConversations: UdpConversations) {
    this.#kernel = kernel;
    this.#audience = audience;
    this.#udpConversations = udpConversations;
  }

  get runs(): number {
    return this.#runs;
  }

  /** Runs in which a field was wrong. */
  get failures(): number {
    return this.#failures;
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /** Has it run at once, and not only when it is due. */
  ask(): void {
    this.#nextMs = 0;
  }

  /**
   * Runs it; wrong fields are logged and counted.
   *
   * @param keepOneIn Of so many connections one is followed otherwise.
   */
  run(nowMs: number, keepOneIn: number): void {
    const { udp, udpMissing } = this.#kernel;
    this.#kernel.keepOneIn(1);
    const comparisons = selfTest(this.#kernel, this.#audience);
    if (udp?.amountsKnown && udpMissing === null) {
      comparisons.push(...selfTestUdp(udp, (records) => this.#udpConversations.report(records, udp.sockets())));
    }
    this.#kernel.keepOneIn(keepOneIn);
    this.#nextMs = nowMs + INTERVAL_MS;
    this.#runs++;
    const problem = wrongFields(comparisons);
    if (problem === null) return log("info", "agent", "self-test passed", { fields: comparisons.length });
    this.#failures++;
    log("error", "agent", "self-test failed", { error: problem });
  }
}
