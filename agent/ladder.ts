/** The ladder of hooks: the ways to observe a kernel, and which of them this host gets. */

import { LibbpfError } from "../ffi/libbpf.ts";
import { LibcError, readKernelFile } from "../ffi/libc.ts";
import { describeError } from "../lib/log.ts";
import { Heard } from "./heard.ts";
import { KernelPrograms, type RungPrograms } from "./kernel.ts";
import { findFamily, kernelRelease, missingFamily, readFamilyFile } from "./kernel_family.ts";
import { missingFunctions, socketFileOperations } from "./kernel_function.ts";
import { type Comparison, selfTest, wrongFields } from "./known_answer.ts";
import { selfTestUdp } from "./known_answer_udp.ts";

/** A way to observe conversations. */
export interface Rung {
  readonly name: string;
  /** Why this host cannot have it, or null. */
  readonly missing: () => string | null;
  readonly programs: () => RungPrograms;
}

/** What was found of a rung; `reason` is null for the one that is taken. */
export interface Verdict {
  readonly rung: string;
  readonly reason: string | null;
}

/** A rung that passed its self-test. */
export interface Choice {
  readonly rung: Rung;
  /** Of this rung, and of those above it. */
  readonly verdicts: readonly Verdict[];
  readonly comparisons: readonly Comparison[];
  /** Its programs, attached still; whoever asked for the choice disposes of them. */
  readonly kernel: KernelPrograms;
  /** What they told since they were attached. */
  readonly heard: Heard;
}

/** No rung works on this host; its cause is what the kernel said last. */
export class NoRungError extends Error {
  override readonly name = "NoRungError";
}

/** Preferred first. */
export const RUNGS: readonly Rung[] = [
  {
    name: "kprobe",
    missing: () => missingForKprobes([]) ?? missingBtf(),
    programs: () => ({
      object: readObject("kprobe"),
      btf: null,
      attach: attachments([]),
      without: ["skyfall_walk", ...PROC_PROGRAMS],
      cgroupRelease: null,
      openSockets: "iterators",
      countsHooks: true,
      socketFileOperations: socketFileOperations(),
    }),
  },
  {
    name: "kprobe-elf",
    missing: () => missingForKprobes(PROC_FUNCTIONS) ?? missingFamily(),
    programs: () => ({ ...programsWithoutTypes(), object: readFamilyFile(findFamily()!, "bpf.o"), btf: null, without: [] }),
  },
  {
    name: "kprobe-min-btf",
    missing: () => missingForKprobes(PROC_FUNCTIONS) ?? missingFamily(),
    programs: () => ({
      ...programsWithoutTypes(),
      object: readObject("kprobe"),
      btf: readFamilyFile(findFamily()!, "btf"),
      without: ["skyfall_live", "skyfall_owners"],
    }),
  },
  {
    name: "tp_btf",
    missing: missingBtf,
    programs: () => ({
      object: readObject("tp_btf"),
      btf: null,
      attach: [["skyfall_state", null], ["skyfall_exit", null]],
      without: [],
      cgroupRelease: "skyfall_release",
      openSockets: "iterators",
      countsHooks: false,
      socketFileOperations: null,
    }),
  },
];

/**
 * The first rung that this host can have, that its kernel accepts and that passes its self-test.
 *
 * @param forced The only rung to try, by name, or null.
 * @throws {NoRungError} If there is none; the message says of each why.
 */
export function chooseRung(forced: string | null): Choice {
  const verdicts: Verdict[] = [];
  let cause: unknown;
  for (const rung of RUNGS.filter(({ name }) => forced === null || name === forced)) {
    const missing = rung.missing();
    if (missing !== null) {
      verdicts.push({ rung: rung.name, reason: missing });
      continue;
    }
    try {
      const tried = tryRung(rung);
      const reason = wrongFields(tried.comparisons);
      verdicts.push({ rung: rung.name, reason });
      if (reason === null) return { rung, verdicts, ...tried };
      tried.kernel[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof LibbpfError || error instanceof LibcError || error instanceof TypeError)) throw error;
      cause = error;
      verdicts.push({ rung: rung.name, reason: describeError(error) });
    }
  }
  throw new NoRungError(`Cannot observe this kernel: ${verdicts.map(({ rung, reason }) => `rung "${rung}": ${reason}`).join("; ")}`, {
    cause,
  });
}

function tryRung(rung: Rung): Omit<Choice, "rung" | "verdicts"> {
  using stack = new DisposableStack();
  const kernel = stack.use(new KernelPrograms(rung.programs())), heard = new Heard();
  const { udp, udpMissing } = kernel;
  const comparisons = selfTest(kernel, heard);
  if (udp?.amountsKnown && udpMissing === null) comparisons.push(...selfTestUdp(udp, (records) => heard.onUdp(records)));
  stack.move();
  return { comparisons, kernel, heard };
}

function readObject(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`../bpf/${name}.bpf.o`, import.meta.url));
}

/** Programs that are entered from the function which their section names. */
const KPROBE_PROGRAMS = [
  "skyfall_state",
  "skyfall_v4_connect",
  "skyfall_v6_connect",
  "skyfall_accept",
  "skyfall_graft",
  "skyfall_listen",
  "skyfall_release",
  "skyfall_destroy",
  "skyfall_exit",
];
const KPROBE_FUNCTIONS = [
  "tcp_set_state",
  "tcp_v4_connect",
  "tcp_v6_connect",
  "inet_csk_accept",
  "security_sock_graft",
  "inet_csk_listen_start",
  "inet_release",
  "tcp_v4_destroy_sock",
  "exit_signals",
];
/** The same of programs that see what the agent reads in /proc. */
const PROC_PROGRAMS = ["skyfall_show_v4", "skyfall_show_v6", "skyfall_walked_process", "skyfall_walked_file"];
const PROC_FUNCTIONS = ["tcp4_seq_show", "tcp6_seq_show", "proc_tgid_stat", "sockfs_dname"];

/** In newer kernels connect(2) of UDP enters the inner function without passing the outer one. */
function attachments(more: readonly string[]): RungPrograms["attach"] {
  return [
    ...[...KPROBE_PROGRAMS, ...more].map((program) => [program, null] as const),
    ["skyfall_ip4_datagram", "__ip4_datagram_connect"],
    ["skyfall_ip6_datagram", "__ip6_datagram_connect"],
  ];
}

function programsWithoutTypes(): Omit<RungPrograms, "object" | "btf" | "without"> {
  return { attach: attachments(PROC_PROGRAMS), cgroupRelease: null, openSockets: "proc", countsHooks: true, socketFileOperations: null };
}

function missingForKprobes(more: readonly string[]): string | null {
  if (Deno.build.arch !== "x86_64") return `its programs are compiled for the registers of x86_64, not of ${Deno.build.arch}`;
  if (readKernelFile("/sys/bus/event_source/devices/kprobe/type", 16) === null) {
    return "/sys/bus/event_source/devices/kprobe is not there: the kernel was built without CONFIG_KPROBE_EVENTS";
  }
  return missingFunctions([...KPROBE_FUNCTIONS, ...more]);
}

function missingBtf(): string | null {
  return readKernelFile("/sys/kernel/btf/vmlinux", 4) === null
    ? `/sys/kernel/btf/vmlinux is not there: kernel ${kernelRelease()} was built without CONFIG_DEBUG_INFO_BTF`
    : null;
}
