/** What this process costs, and how far it stands back: getrusage(2), setpriority(2), ioprio_set(2), capset(2), prctl(2). */

import { FileDescriptor, lastErrno, LibcError } from "./libc.ts";
import { numbersIn } from "./libc_proc_folder.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int getrusage(int who, struct rusage *usage)
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
  // int setpriority(int which, id_t who, int prio)
  setpriority: { parameters: ["i32", "u32", "i32"], result: "i32" },
  // long syscall(long number, ...)
  syscall: { parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
  // int capget(cap_user_header_t hdrp, cap_user_data_t datap)
  capget: { parameters: ["buffer", "buffer"], result: "i32" },
  // int capset(cap_user_header_t hdrp, const cap_user_data_t datap)
  capset: { parameters: ["buffer", "buffer"], result: "i32" },
  // int prctl(int option, ...)
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
} as const;

const RUSAGE_SELF = 0, RUSAGE_BYTES = 144;
const PRIO_PROCESS = 0;
const SYS_IOPRIO_SET = { x86_64: 251n, aarch64: 30n }[Deno.build.arch];
const IOPRIO_WHO_PROCESS = 1n, IOPRIO_IDLE = 3n << 13n;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const PR_CAPBSET_READ = 23, PR_CAPBSET_DROP = 24, PR_SET_NO_NEW_PRIVS = 38;
const EPERM = 1, ESRCH = 3, EACCES = 13;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library 2.30 or newer");
  return library.symbols;
}

/** Processor time, user and system, that all threads of this process have taken. */
export function processCpuNs(): number {
  const usage = new BigInt64Array(RUSAGE_BYTES / 8); // begins with ru_utime and ru_stime, seconds and microseconds each
  must("read the process's cost", libc().getrusage(RUSAGE_SELF, usage));
  return Number(usage[0]! + usage[2]!) * 1e9 + Number(usage[1]! + usage[3]!) * 1e3;
}

/** Ids of this process's threads, as they are at this moment. */
function threadIds(): number[] {
  using folder = FileDescriptor.openDirectory("/proc/self/task");
  return numbersIn(folder);
}

/**
 * Lowers the priority of every thread for processors, and for disks to idle. Threads that one of them starts later inherit
 * both.
 *
 * @param nice 0 to 19. Nothing changes where a thread's is higher already.
 */
export function lowerPriority(nice: number): void {
  for (const thread of threadIds()) {
    allowGone(`set nice to ${nice}`, libc().setpriority(PRIO_PROCESS, thread, nice), [ESRCH, EPERM, EACCES]);
    allowGone("set the disk priority", Number(libc().syscall(SYS_IOPRIO_SET, IOPRIO_WHO_PROCESS, BigInt(thread), IOPRIO_IDLE)), [ESRCH]);
  }
}

/** Gives up for this thread, and for what it starts, to gain rights by running a program. */
export function renounceNewPrivileges(): void {
  must("set no_new_privs", libc().prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n));
}

/** Capabilities that this thread may use, as bits. */
export function effectiveCapabilities(): bigint {
  const data = new Uint32Array(6);
  must("read the capabilities", libc().capget(capabilityHeader(), data));
  return BigInt(data[0]!) | BigInt(data[3]!) << 32n;
}

/**
 * Leaves this thread no more than `capabilities` (bits), in its effective, permitted and bounding sets, and none that a
 * program started by it would inherit. Of the capabilities named, those stay that the thread has.
 */
export function dropCapabilities(capabilities: bigint): void {
  for (let bit = 0n; bit < 64n; bit++) {
    if ((capabilities >> bit & 1n) === 1n || libc().prctl(PR_CAPBSET_READ, bit, 0n, 0n, 0n) !== 1) continue;
    allowGone(`drop capability ${bit}`, libc().prctl(PR_CAPBSET_DROP, bit, 0n, 0n, 0n), [EPERM]); // without CAP_SETPCAP
  }
  const kept = effectiveCapabilities() & capabilities;
  const low = Number(kept & 0xffff_ffffn), high = Number(kept >> 32n);
  must("drop capabilities", libc().capset(capabilityHeader(), new Uint32Array([low, low, 0, high, high, 0])));
}

/** `struct __user_cap_header_struct` for the calling thread. */
function capabilityHeader(): Uint32Array<ArrayBuffer> {
  return new Uint32Array([CAPABILITY_VERSION_3, 0]);
}

function must(action: string, result: number): number {
  if (result < 0) throw new LibcError(action, lastErrno());
  return result;
}

function allowGone(action: string, result: number, allowed: readonly number[]): void {
  if (result >= 0) return;
  const errno = lastErrno();
  if (!allowed.includes(errno)) throw new LibcError(action, errno);
}
