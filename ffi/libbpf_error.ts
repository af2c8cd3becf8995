/** libbpf: what a failed call means, and what to do about it. */

const EPERM = 1, ESRCH = 3, ENOMEM = 12, EACCES = 13;
/** What libbpf prints of a map that the kernel refuses; 1.0 and later with the error's name before it. */
const REFUSED_MAP = /\bmap '([^']+)': failed to create\b/;

/** A failed call of libbpf; `log` holds what libbpf and the kernel's verifier said. */
export class LibbpfError extends Error {
  override readonly name = "LibbpfError";
  constructor(readonly action: string, readonly errno: number, readonly log: string) {
    super(`Cannot ${action}: errno ${errno}${explain(errno, REFUSED_MAP.test(log))}`);
  }
}

/** Name of the map that the kernel refused, from what libbpf printed; null where it was another thing. */
export function refusedMap(lines: readonly string[]): string | null {
  return lines.map((line) => REFUSED_MAP.exec(line)?.[1]).findLast((name) => name !== undefined) ?? null;
}

function explain(errno: number, isMap: boolean): string {
  switch (errno) {
    case ENOMEM:
      return " (no memory: raise the limit of the control group, memory.max or MemoryMax= of the unit, or free some of the host's)";
    case EPERM:
    case EACCES:
      return " (not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; a locked-down kernel may still refuse" +
        `${isMap ? "; before Linux 5.11 raise RLIMIT_MEMLOCK as well, LimitMEMLOCK=infinity of the unit" : ""})`;
    case ESRCH:
      return " (no such thing in this kernel; without /sys/kernel/btf/vmlinux this rung cannot work)";
    default:
      return "";
  }
}
