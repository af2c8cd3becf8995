/** Which functions the running kernel has, from /proc/kallsyms. */

import { readKernelFile } from "../ffi/libc.ts";

/** Kernels of distributions list some 200,000 symbols in 10 MB. */
const SYMBOLS_BYTES_MAX = 64 << 20;

let functions: ReadonlySet<string> | undefined;

/** Whether the kernel has a function of this name, that is not inlined everywhere. */
export function functionOfKernel(name: string): boolean {
  functions ??= readFunctions();
  return functions.has(name);
}

/** Which of these functions the kernel lacks, as a reason; null where it has them all. */
export function missingFunctions(names: readonly string[]): string | null {
  const missing = names.filter((name) => !functionOfKernel(name));
  return missing.length === 0 ? null : `the kernel has no function ${missing.map((name) => `"${name}"`).join(", ")} in /proc/kallsyms`;
}

function readFunctions(): ReadonlySet<string> {
  const bytes = readKernelFile("/proc/kallsyms", SYMBOLS_BYTES_MAX);
  if (bytes === null) return new Set();
  const names = new TextDecoder().decode(bytes).matchAll(/^[0-9a-f]+ [tTwW] (\w*(?:tcp|inet|udp|sock|datagram)\w*)$/gm);
  return new Set(Array.from(names, ([, name]) => name!));
}
