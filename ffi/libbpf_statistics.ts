/** libbpf: how long kernel programs ran, while the kernel keeps statistics of that (bpf(2), BPF_ENABLE_STATS). */

import { LibbpfError } from "./libbpf.ts";
import { FileDescriptor, lastErrno } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int bpf_enable_stats(enum bpf_stats_type type)
  bpf_enable_stats: { parameters: ["i32"], result: "i32" },
  // int bpf_obj_get_info_by_fd(int bpf_fd, void *info, __u32 *info_len)
  bpf_obj_get_info_by_fd: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

const BPF_STATS_RUN_TIME = 0;
/** Offset of `run_time_ns` in `struct bpf_prog_info`, since 5.1, and where the kernel stops filling in. */
const INFO_RUN_TIME_NS = 192, INFO_BYTES = 200;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function bpf(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libbpf.so.1", SYMBOLS, "it was there when the programs were loaded");
  return library.symbols;
}

/**
 * Has the kernel measure every program of the host until disposed of, which costs each run two looks at a clock. Since
 * Linux 5.8, with CAP_SYS_ADMIN; null where the kernel refuses.
 */
export function enableRunStatistics(): Disposable | null {
  const fd = bpf().bpf_enable_stats(BPF_STATS_RUN_TIME);
  return fd < 0 ? null : new FileDescriptor(fd);
}

/** How long the programs ran, while statistics were on. */
export function programRunNs(fds: readonly number[]): number {
  const info = new Uint8Array(INFO_BYTES), view = new DataView(info.buffer);
  return fds.reduce((sum, fd) => {
    info.fill(0);
    const result = bpf().bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(INFO_BYTES));
    if (result < 0) throw new LibbpfError("ask the kernel how long a program ran", lastErrno(), "");
    return sum + Number(view.getBigUint64(INFO_RUN_TIME_NS, true));
  }, 0);
}
