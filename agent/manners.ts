/** How the agent behaves as a guest on its host: it stands back behind others, and keeps no right that it does not need. */

import { LibcError, readKernelFile } from "../ffi/libc.ts";
import { dropCapabilities, effectiveCapabilities, lowerPriority, renounceNewPrivileges } from "../ffi/libc_process.ts";
import { confineAllThreads, disableDebuggerSignal } from "../ffi/libc_seccomp.ts";
import { describeError, log } from "../lib/log.ts";

/** Bits of capability.h; docs/reference/agent_rights.md says what each is for. */
const CAPABILITIES = { CAP_SYS_PTRACE: 19n, CAP_SYS_ADMIN: 21n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const;
type Capability = keyof typeof CAPABILITIES;
const NEEDED = ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"] as const satisfies readonly Capability[];

/**
 * Capabilities that the agent needs after its programs are attached. Up to Linux 5.18 every bpf(2) call of a host with
 * kernel.unprivileged_bpf_disabled needs CAP_BPF; since (commit c8644cd0efe7) only loading does.
 *
 * @param release As uname(2) has it, for example "6.1.0-18-amd64".
 */
export function neededCapabilities(release: string): Capability[] {
  const [major, minor] = release.split(/[.-]/).map(Number);
  const isOld = major === undefined || minor === undefined || !(major > 5 || major === 5 && minor >= 19);
  return isOld ? [...NEEDED, "CAP_PERFMON", "CAP_BPF"] : [...NEEDED];
}

/** Lowers the priority of every thread; where the host refuses, that is logged and the agent goes on. */
export function standBack(nice: number): void {
  attempt("priority is not lowered", () => lowerPriority(nice));
}

/** Closes the door to the runtime's debugger; where the host refuses, that is logged. */
export function refuseDebugger(): void {
  attempt("SIGUSR1 would open the runtime's debugger", disableDebuggerSignal);
}

/** Gives up what only loading and attaching needed; where the host refuses, that is logged. */
export function dropRights(): void {
  const release = readKernelFile("/proc/sys/kernel/osrelease", 64);
  const needed = neededCapabilities(release === null ? "" : new TextDecoder().decode(release));
  attempt("capabilities are not dropped", () => dropCapabilities(needed.reduce((set, name) => set | 1n << CAPABILITIES[name], 0n)));
  attempt("system calls are not refused", () => {
    renounceNewPrivileges();
    confineAllThreads();
  });
  const effective = effectiveCapabilities();
  log("info", "agent", "rights dropped", {
    capabilities: needed.filter((name) => (effective >> CAPABILITIES[name] & 1n) === 1n),
  });
}

function attempt(problem: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof LibcError)) throw error;
    log("warn", "agent", problem, { error: describeError(error) });
  }
}
