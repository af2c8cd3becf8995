/**
 * What is held on each kernel of the matrix, with type information and without: the self-test on every rung of the ladder, and
 * on rungs of kernel functions what no self-test can show, as it begins before the agent does.
 */

import { KERNEL_FAMILIES } from "../../bpf/kernels/families.gen.ts";

/** One boot of a kernel. */
export interface Machine {
  readonly series: string;
  /** Whether the kernel's type information is left visible. */
  readonly types: "visible" | "hidden";
}

/** One command in a virtual machine. */
export interface Case {
  readonly name: string;
  /** `agent check` with arguments, or a file of tests in which the agent may take one rung alone. */
  readonly command: { readonly check: string } | { readonly tests: string; readonly rung: string };
  /** Shell commands before it, on a kernel of this release. */
  readonly before?: (release: string) => string;
  /** What it must print there. */
  readonly expected: (release: string) => RegExp;
}

export const PASSED = /^self-test: (\d+) of \1 fields/m;
/** Nothing but the self-test connects in the machine: 3 conversations, then 20 of each family, and a UDP socket of each. */
const PASSED_WITH_HOOKS = new RegExp(
  "tcp_v4_connect [246]2, tcp_v6_connect [246]2, inet_csk_accept \\d+3, security_sock_graft \\d+3, " +
    "ip4_datagram_connect [13], ip6_datagram_connect [13], late_end \\d+, lost_end \\d+\\n" + PASSED.source,
  "m",
);
/** Connections and listeners that are older than the agent, and a process that is killed with one that it was handed. */
const OLDER_SOCKETS = "tests/open_sockets_test.ts";
export const TESTS_PASSED = /^ok \| (\d+) passed \| 0 failed/m;
const NO_BTF = /btf\/vmlinux is not there/;
const UNKNOWN = /is not among those whose structures are known: \d/;
/** The kernel's own word for programs with typed pointers, socket storage in which came with 5.11. */
const REFUSED_BEFORE_5_11 = /rung "tp_btf": Cannot load the BPF programs: errno 22/;

/** In order; `tests/kernel/matrix.ts` runs them one after another in one machine. */
export function casesOf({ series, types }: Machine): Case[] {
  return types === "visible" ? withTypes(series) : withoutTypes();
}

function withTypes(series: string): Case[] {
  return [
    { name: "kprobe", command: { check: "--rung kprobe" }, expected: () => PASSED_WITH_HOOKS },
    { name: "kprobe-elf", command: { check: "--rung kprobe-elf" }, expected: passedIfKnown },
    { name: "kprobe-min-btf", command: { check: "--rung kprobe-min-btf" }, expected: passedIfKnown },
    { name: "tp_btf", command: { check: "--rung tp_btf" }, expected: () => series === "5.10" ? REFUSED_BEFORE_5_11 : PASSED },
    { name: "by itself", command: { check: "--explain" }, expected: () => /^rung kprobe: taken$/m },
    // The oldest kernel alone tells sockets from other files in a way of its own.
    ...(series === "5.10"
      ? [{ name: "kprobe, older sockets", command: { tests: OLDER_SOCKETS, rung: "kprobe" }, expected: () => TESTS_PASSED }]
      : []),
  ];
}

function withoutTypes(): Case[] {
  return [
    { name: "kprobe", command: { check: "--rung kprobe" }, expected: () => NO_BTF },
    { name: "kprobe-elf", command: { check: "--rung kprobe-elf" }, expected: passedIfKnown },
    { name: "kprobe-min-btf", command: { check: "--rung kprobe-min-btf" }, expected: passedIfKnown },
    { name: "tp_btf", command: { check: "--rung tp_btf" }, expected: () => NO_BTF },
    { name: "by itself", command: { check: "--explain" }, expected: (release) => isKnown(release) ? /^rung kprobe-elf: taken$/m : UNKNOWN },
    {
      name: "kprobe-elf, older sockets",
      command: { tests: OLDER_SOCKETS, rung: "kprobe-elf" },
      expected: (release) => isKnown(release) ? TESTS_PASSED : UNKNOWN,
    },
    {
      name: "as an unknown release",
      command: { check: "--rung kprobe-elf" },
      before: () => pretend("4.4.0-unknown"),
      expected: () => UNKNOWN,
    },
    {
      name: "as a release of another family",
      command: { check: "--rung kprobe-elf" },
      before: (release) => pretend(releaseUnlike(release)),
      expected: () => /fields of its self-test are wrong/,
    },
  ];
}

function passedIfKnown(release: string): RegExp {
  return isKnown(release) ? PASSED_WITH_HOOKS : UNKNOWN;
}

function isKnown(release: string): boolean {
  return Object.values(KERNEL_FAMILIES).some((releases) => releases.includes(release));
}

function releaseUnlike(release: string): string {
  return Object.values(KERNEL_FAMILIES).find((releases) => !releases.includes(release))![0]!;
}

/** Lets the machine pretend to be another release. */
function pretend(release: string): string {
  return `echo '${release}' > /run/release; mount --bind /run/release /proc/sys/kernel/osrelease`;
}
