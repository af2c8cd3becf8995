/** Tells the C library's allocator to keep memory that is freed, for a program that frees and takes again the same every moment. */

import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int mallopt(int param, int value)
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
} as const;

/** Of malloc.h. */
const M_TRIM_THRESHOLD = -1, M_MMAP_THRESHOLD = -3;
/** The most that mallopt(3) takes. */
const MMAP_BYTES = 32 * 1024 * 1024;

/**
 * Blocks of up to 32 MiB are taken from the heap and not from the kernel, which clears each page of them first; up to `bytes` of free
 * memory at the heap's end stay. False where it refuses.
 */
export function keepFreedMemory(bytes: number): boolean {
  const { mallopt } = openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library").symbols;
  return mallopt(M_MMAP_THRESHOLD, MMAP_BYTES) === 1 && mallopt(M_TRIM_THRESHOLD, bytes) === 1;
}
