/** Which functions the running kernel has, and where, from /proc/kallsyms. */

import { readKernelFile } from "../ffi/libc.ts";

/** Kernels of distributions list some 200,000 symbols in 10 MB. */
const SYMBOLS_BYTES_MAX = 64 << 20;

/** Addresses by name; null where the file is hidden, as systemd's ProtectKernelTunables= does. */
let symbols: ReadonlyMap<string, bigint> | null | undefined;

/** Which of these functions the kernel lacks, as a reason; null where it has them all, or does not tell. */
export function missingFunctions(names: readonly string[]): string | null {
  const all = kernelSymbols();
  const missing = all === null ? [] : names.filter((name) => !all.has(name));
  return missing.length === 0 ? null : `the kernel has no function ${missing.map((name) => `"${name}"`).join(", ")} in /proc/kallsyms`;
}

/** Address of `socket_file_ops`; 0 where the kernel does not tell it, as to a process without CAP_SYSLOG. */
export function socketFileOperations(): bigint {
  return kernelSymbols()?.get("socket_file_ops") ?? 0n;
}

function kernelSymbols(): ReadonlyMap<string, bigint> | null {
  if (symbols !== undefined) return symbols;
  const bytes = readKernelFile("/proc/kallsyms", SYMBOLS_BYTES_MAX);
  if (bytes === null || bytes.length === 0) return symbols = null;
  const lines = new TextDecoder().decode(bytes).matchAll(
    /^([0-9a-f]+) [tTwWdDrR] (\w*(?:tcp|inet|udp|sock|datagram)\w*|exit_signals|proc_tgid_stat)$/gm,
  );
  return symbols = new Map(Array.from(lines, ([, address, name]) => [name!, BigInt(`0x${address}`)]));
}
