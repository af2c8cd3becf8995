/** System calls that no thread of this process can make any more (seccomp(2)). */

import { lastErrno, LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // long syscall(long number, ...)
  syscall: { parameters: ["i64", "u64", "u64", "buffer"], result: "i64" },
  // sighandler_t signal(int signum, sighandler_t handler)
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const;

/** Numbers of one architecture (asm/unistd.h). */
interface Architecture {
  readonly audit: number;
  readonly seccomp: bigint;
  /** Refused but for network namespaces. */
  readonly setns: number;
  readonly rt_sigaction: number;
  readonly refused: Readonly<Record<string, number>>;
}

/** The same on every architecture, as all that are younger. */
const YOUNG = { open_tree: 428, move_mount: 429, fsopen: 430, fsmount: 432, mount_setattr: 442 } as const;

/** Calls that the agent never makes, and that whoever took it over would like to. */
const ARCHITECTURES: Readonly<Record<typeof Deno.build.arch, Architecture>> = {
  x86_64: {
    audit: 0xc000_003e,
    seccomp: 317n,
    setns: 308,
    rt_sigaction: 13,
    // deno-fmt-ignore
    refused: {
      execve: 59, execveat: 322, ptrace: 101, process_vm_readv: 310, process_vm_writev: 311, mount: 165, umount2: 166,
      pivot_root: 155, chroot: 161, unshare: 272, init_module: 175, finit_module: 313, delete_module: 176,
      kexec_load: 246, kexec_file_load: 320, reboot: 169, swapon: 167, swapoff: 168, acct: 163, settimeofday: 164,
      clock_settime: 227, clock_adjtime: 305, adjtimex: 159, sethostname: 170, setdomainname: 171, iopl: 172, ioperm: 173,
      open_by_handle_at: 304, add_key: 248, request_key: 249, keyctl: 250, userfaultfd: 323, setuid: 105, setgid: 106,
      setreuid: 113, setregid: 114, setresuid: 117, setresgid: 119, setgroups: 116, ...YOUNG,
    },
  },
  aarch64: {
    audit: 0xc000_00b7,
    seccomp: 277n,
    setns: 268,
    rt_sigaction: 134,
    // deno-fmt-ignore
    refused: {
      execve: 221, execveat: 281, ptrace: 117, process_vm_readv: 270, process_vm_writev: 271, mount: 40, umount2: 39,
      pivot_root: 41, chroot: 51, unshare: 97, init_module: 105, finit_module: 273, delete_module: 106,
      kexec_load: 104, kexec_file_load: 294, reboot: 142, swapon: 224, swapoff: 225, acct: 89, settimeofday: 170,
      clock_settime: 112, clock_adjtime: 266, adjtimex: 171, sethostname: 161, setdomainname: 162,
      open_by_handle_at: 265, add_key: 217, request_key: 218, keyctl: 219, userfaultfd: 282, setuid: 146, setgid: 144,
      setreuid: 145, setregid: 143, setresuid: 147, setresgid: 149, setgroups: 159, ...YOUNG,
    },
  },
};

const SECCOMP_SET_MODE_FILTER = 1n, SECCOMP_FILTER_FLAG_TSYNC = 1n;
const RET_ALLOW = 0x7fff_0000, RET_EPERM = 0x0005_0001;
/** The call is not made, and its caller is told that it was. */
const RET_DONE = 0x0005_0000;
/** Classic BPF: load a word of `struct seccomp_data`, compare, return. */
const LOAD = 0x20, JUMP_EQUAL = 0x15, JUMP_GREATER_EQUAL = 0x35, RETURN = 0x06;
const DATA_NUMBER = 0, DATA_ARCHITECTURE = 4, DATA_ARGUMENT_0 = 16, DATA_ARGUMENT_1 = 24;
const CLONE_NEWNET = 0x4000_0000;
/** Calls from here on are of x32, which is x86-64 under other numbers. */
const X32_FIRST = 0x4000_0000;
const INSTRUCTION_BYTES = 8;
const SETNS_INSTRUCTIONS = 5;
const SIGUSR1 = 10, SIG_IGN = 1n;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

/**
 * From now on the calls that are refused on this architecture fail with EPERM on every thread, and no thread gains rights by running
 * a program: the kernel sets no_new_privs on all of them with it. The calling thread must have given up new privileges, or be privileged.
 *
 * @throws {LibcError} If the kernel has no such filters, or a thread has another one.
 */
export function confineAllThreads(): void {
  install(refusals(ARCHITECTURES[Deno.build.arch]));
}

/**
 * From now on SIGUSR1 does nothing. Half a second after its start Deno (since 2.9.2) has it open its debugger on a TCP port of
 * the host, where whoever connects runs code as this process; it cannot be told not to.
 *
 * @throws {LibcError} As `confineAllThreads()`.
 */
export function disableDebuggerSignal(): void {
  const { audit, rt_sigaction } = ARCHITECTURES[Deno.build.arch];
  if (libc().signal(SIGUSR1, SIG_IGN) === 0xffff_ffff_ffff_ffffn) throw new LibcError("ignore SIGUSR1", lastErrno());
  install([
    [LOAD, 0, 0, DATA_ARCHITECTURE],
    [JUMP_EQUAL, 0, 5, audit],
    [LOAD, 0, 0, DATA_NUMBER],
    [JUMP_EQUAL, 0, 3, rt_sigaction],
    [LOAD, 0, 0, DATA_ARGUMENT_0],
    [JUMP_EQUAL, 0, 1, SIGUSR1],
    [RETURN, 0, 0, RET_DONE],
    [RETURN, 0, 0, RET_ALLOW],
  ]);
}

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** Puts a filter before the system calls of every thread. */
function install(instructions: readonly Instruction[]): void {
  const filter = encode(instructions);
  const program = new BigUint64Array([
    BigInt(instructions.length),
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter)),
  ]); // struct sock_fprog
  const { seccomp } = ARCHITECTURES[Deno.build.arch];
  const result = Number(libc().syscall(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program));
  if (result < 0) throw new LibcError("refuse system calls", lastErrno());
  if (result > 0) throw new LibcError(`refuse system calls on thread ${result}, which has a filter of its own`, 0);
}

function refusals({ audit, setns, refused }: Architecture): Instruction[] {
  const numbers = Object.values(refused);
  const isRefused = (index: number) => numbers.length - index; // instructions from the comparison to the refusal
  return [
    [LOAD, 0, 0, DATA_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, RET_EPERM],
    [LOAD, 0, 0, DATA_NUMBER],
    [JUMP_GREATER_EQUAL, SETNS_INSTRUCTIONS + numbers.length + 1, 0, X32_FIRST],
    [JUMP_EQUAL, 0, SETNS_INSTRUCTIONS - 1, setns],
    [LOAD, 0, 0, DATA_ARGUMENT_1],
    [JUMP_EQUAL, 0, 1, CLONE_NEWNET],
    [RETURN, 0, 0, RET_ALLOW],
    [RETURN, 0, 0, RET_EPERM],
    ...numbers.map((number, index) => [JUMP_EQUAL, isRefused(index), 0, number] satisfies Instruction),
    [RETURN, 0, 0, RET_ALLOW],
    [RETURN, 0, 0, RET_EPERM],
  ];
}

/** `struct sock_filter[]`. */
function encode(instructions: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES), view = new DataView(bytes.buffer);
  for (const [i, [code, ifTrue, ifFalse, value]] of instructions.entries()) {
    view.setUint16(i * INSTRUCTION_BYTES, code, true);
    view.setUint8(i * INSTRUCTION_BYTES + 2, ifTrue);
    view.setUint8(i * INSTRUCTION_BYTES + 3, ifFalse);
    view.setUint32(i * INSTRUCTION_BYTES + 4, value, true);
  }
  return bytes;
}
