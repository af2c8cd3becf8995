/** libbpf: hash maps that the kernel programs fill and this process empties. */

import { LibbpfError } from "./libbpf.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
  bpf_map_update_elem: { parameters: ["i32", "buffer", "buffer", "u64"], result: "i32" },
  // int bpf_map_lookup_and_delete_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, __u32 *count, const struct bpf_map_batch_opts *opts)
  bpf_map_lookup_and_delete_batch: {
    parameters: ["i32", "buffer", "buffer", "buffer", "buffer", "buffer", "pointer"],
    result: "i32",
  },
} as const;

const BPF_ANY = 0n;
const ENOENT = 2, ENOSPC = 28;
/** Entries taken by one call; a bucket of a hash map with more than this is tried again with more room. */
const BATCH_ENTRIES = 4_096;
const BATCH_ENTRIES_MAX = 1 << 20;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function bpf(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libbpf.so.1", SYMBOLS, "it was there when the programs were loaded");
  return library.symbols;
}

/**
 * Puts a map into a slot of a map of maps. When this returns, no program uses the one that was there before: the kernel
 * waits for those that run (kernel/bpf/syscall.c, maybe_wait_bpf_programs()).
 */
export function setInnerMap(outerFd: number, index: number, innerFd: number): void {
  const result = bpf().bpf_map_update_elem(outerFd, new Uint32Array([index]), new Int32Array([innerFd]), BPF_ANY);
  if (result < 0) throw new LibbpfError("put a map in another's place", -result, "");
}

/** Memory that is used again: half a megabyte a call would wait long for the garbage collector. */
const scratches = { keys: new Uint8Array(0), values: new Uint8Array(0) };

function scratch(use: keyof typeof scratches, bytes: number): Uint8Array<ArrayBuffer> {
  if (scratches[use].length < bytes) scratches[use] = new Uint8Array(bytes);
  return scratches[use];
}

/** Empties a hash map that no program uses; `onEntry` may read both views at the given offsets during the call only. */
export function takeEntries(
  fd: number,
  keyBytes: number,
  valueBytes: number,
  onEntry: (key: DataView, keyAt: number, value: DataView, valueAt: number) => void,
): number {
  const cursor = new Uint8Array(Math.max(4, keyBytes));
  let room = BATCH_ENTRIES, total = 0, isFirst = true;
  for (;;) {
    const count = new Uint32Array([room]);
    const before = cursor.slice();
    const keys = scratch("keys", room * keyBytes), values = scratch("values", room * valueBytes);
    const result = bpf().bpf_map_lookup_and_delete_batch(fd, isFirst ? null : before, cursor, keys, values, count, null);
    if (result < 0 && result !== -ENOENT && result !== -ENOSPC) throw new LibbpfError("empty a map", -result, "");
    if (result === -ENOSPC) {
      if (room >= BATCH_ENTRIES_MAX) throw new LibbpfError("empty a map", ENOSPC, "");
      room *= 2;
      cursor.set(before);
      continue;
    }
    const keyView = new DataView(keys.buffer), valueView = new DataView(values.buffer);
    for (let i = 0; i < count[0]!; i++) onEntry(keyView, i * keyBytes, valueView, i * valueBytes);
    total += count[0]!;
    if (result === -ENOENT) return total;
    isFirst = false;
  }
}
