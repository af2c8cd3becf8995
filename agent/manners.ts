/** How the agent behaves as a guest on its host: it stands back behind others, and keeps no right that it does not need. */

import { LibcError } from "../ffi/libc.ts";
import { dropCapabilities, effectiveCapabilities, lowerPriority, renounceNewPrivileges } from "../ffi/libc_process.ts";
import { describeError, log } from "../lib/log.ts";

/** Capabilities that stay after the programs are attached, by bit of capability.h; docs/reference/agent_rights.md says why. */
export const KEPT_CAPABILITIES = {
  CAP_DAC_READ_SEARCH: 2n,
  CAP_SYS_PTRACE: 19n,
  CAP_PERFMON: 38n,
  CAP_BPF: 39n,
} as const;

/** Lowers the priority of every thread; where the host refuses, that is logged and the agent goes on. */
export function standBack(nice: number): void {
  attempt("priority is not lowered", () => lowerPriority(nice));
}

/** Gives up, on this thread, what only loading and attaching needed; where the host refuses, that is logged. */
export function dropRights(): void {
  attempt("rights are not dropped", () => {
    dropCapabilities(Object.values(KEPT_CAPABILITIES).reduce((set, bit) => set | 1n << bit, 0n));
    renounceNewPrivileges();
  });
}

/** Names of the capabilities that this thread still has, of those that stay. */
export function keptCapabilities(): string[] {
  const effective = effectiveCapabilities();
  return Object.entries(KEPT_CAPABILITIES).filter(([, bit]) => (effective >> bit & 1n) === 1n).map(([name]) => name);
}

function attempt(problem: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    log("warn", "agent", problem, { error: describeError(error) });
  }
}
