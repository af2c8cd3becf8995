/**
 * `deno task test:kernel [SERIES...]`: boots every kernel of the matrix, with its type information and with it hidden, and
 * holds the self-test on every rung of the ladder; prints what each said, and ends with the counts.
 */

import { KERNEL_FAMILIES } from "../../bpf/kernels/families.gen.ts";
import { formatTable } from "../../bench/table.ts";
import { taskArguments } from "../../chain/program.ts";
import { fetchKernel, type Kernel, KERNELS } from "../../tools/kernels.ts";
import { PURPOSES, setUp } from "../../tools/setup.ts";
import { runInVm } from "./vm.ts";

/** One run of `agent check` in a virtual machine. */
interface Case {
  readonly name: string;
  /** Arguments of `agent check`. */
  readonly args: string;
  /** Shell commands before it. */
  readonly before?: string;
  /** What it must print. */
  readonly expected: RegExp;
}

interface Outcome {
  readonly kernel: string;
  readonly btf: string;
  readonly name: string;
  readonly passed: boolean;
  readonly said: string;
}

const PROJECT = new URL("../../", import.meta.url);
const CASE = "SKYFALL-CASE ";
const SAID_MAX = 100;
const PASSED = /^self-test: (\d+) of \1 fields/m;
/** Nothing but the self-test connects in the machine: 3 conversations, then 20 of each family, and a UDP socket of each. */
const PASSED_WITH_HOOKS = new RegExp(
  "tcp_v4_connect [246]2, tcp_v6_connect [246]2, inet_csk_accept \\d+3, security_sock_graft \\d+3, " +
    "ip4_datagram_connect [13], ip6_datagram_connect [13], late_end \\d+, lost_end \\d+\\n" + PASSED.source,
  "m",
);
const NO_BTF = /btf\/vmlinux is not there/;
const UNKNOWN = /is not among those whose structures are known: \d/;
/** The kernel's own word for programs with typed pointers, socket storage in which came with 5.11. */
const REFUSED_BEFORE_5_11 = /rung "tp_btf": Cannot load the BPF programs: errno 22/;

/** Lets the machine pretend to be another release. */
function pretend(release: string): string {
  return `echo '${release}' > /run/release; mount --bind /run/release /proc/sys/kernel/osrelease`;
}

function withTypes(kernel: Kernel): Case[] {
  const elf = isKnown(kernel.release) ? PASSED_WITH_HOOKS : UNKNOWN;
  return [
    { name: "kprobe", args: "--rung kprobe", expected: PASSED_WITH_HOOKS },
    { name: "kprobe-elf", args: "--rung kprobe-elf", expected: elf },
    { name: "kprobe-min-btf", args: "--rung kprobe-min-btf", expected: elf },
    { name: "tp_btf", args: "--rung tp_btf", expected: kernel.series === "5.10" ? REFUSED_BEFORE_5_11 : PASSED },
    { name: "by itself", args: "--explain", expected: /^rung kprobe: taken$/m },
  ];
}

function withoutTypes(kernel: Kernel): Case[] {
  const known = isKnown(kernel.release), elf = known ? PASSED_WITH_HOOKS : UNKNOWN;
  const other = Object.entries(KERNEL_FAMILIES).find(([, releases]) => !releases.includes(kernel.release))![1][0]!;
  return [
    { name: "kprobe", args: "--rung kprobe", expected: NO_BTF },
    { name: "kprobe-elf", args: "--rung kprobe-elf", expected: elf },
    { name: "kprobe-min-btf", args: "--rung kprobe-min-btf", expected: elf },
    { name: "tp_btf", args: "--rung tp_btf", expected: NO_BTF },
    { name: "by itself", args: "--explain", expected: known ? /^rung kprobe-elf: taken$/m : UNKNOWN },
    { name: "as an unknown release", args: "--rung kprobe-elf", before: pretend("4.4.0-unknown"), expected: UNKNOWN },
    { name: `as ${other}`, args: "--rung kprobe-elf", before: pretend(other), expected: /fields of its self-test are wrong/ },
  ];
}

function isKnown(release: string): boolean {
  return Object.values(KERNEL_FAMILIES).some((releases) => releases.includes(release));
}

async function runCases(kernel: Kernel, btf: "visible" | "hidden", cases: readonly Case[]): Promise<Outcome[]> {
  const agent = [Deno.execPath(), ...await taskArguments("agent"), "check"].map((word) => `'${word}'`).join(" ");
  const script = [
    `cd '${PROJECT.pathname}'`,
    ...(btf === "hidden" ? ["mkdir /run/empty; mount --bind /run/empty /sys/kernel/btf"] : []),
    ...cases.flatMap(({ args, before }, i) => [`echo '${CASE}${i}'`, ...(before === undefined ? [] : [before]), `${agent} ${args}`]),
  ];
  const { output, seconds } = await runInVm(kernel, script.join("\n"));
  const said = new Map(output.split(CASE).slice(1).map((part) => [parseInt(part), part.slice(part.indexOf("\n") + 1).trim()]));
  const outcomes = cases.map(({ name, expected }, i) => {
    const text = errorOf(said.get(i) ?? "nothing");
    return { kernel: kernel.release, btf, name, passed: expected.test(text), said: text };
  });
  const wrong = outcomes.filter(({ passed }) => !passed);
  console.log(
    `${kernel.release}, types ${btf}: ${outcomes.length - wrong.length} of ${outcomes.length} as expected, ${seconds.toFixed(0)} s`,
  );
  for (const { name, said } of wrong) console.error(`FAILED ${name}: ${said}`);
  return outcomes;
}

/** What a case said, in a few words. */
function shorten(said: string): string {
  const passed = PASSED.exec(said), taken = /^rung (\S+): taken$/m.exec(said);
  if (passed !== null) return `${passed[1]} of ${passed[1]} fields${taken === null ? "" : `, took ${taken[1]}`}`;
  const words = said.replace(/^Cannot observe this kernel: rung "[^"]*": /, "");
  return `refused: ${words.length > SAID_MAX ? `${words.slice(0, SAID_MAX)}...` : words}`;
}

/** The error of the agent's log where it failed, else all that it printed. */
function errorOf(printed: string): string {
  const line = printed.split("\n").findLast((line) => line.startsWith('{"time"'));
  return line === undefined ? printed : JSON.parse(line).error;
}

const remedy = await setUp(PURPOSES["kernel"]!);
if (remedy !== null) {
  console.error(`Cannot run virtual machines; first: sudo sh -c '${remedy}'`);
  Deno.exit(1);
}
const startMs = performance.now();
const outcomes: Outcome[] = [];
for (const source of KERNELS.filter(({ series }) => Deno.args.length === 0 || Deno.args.includes(series))) {
  const kernel = await fetchKernel(source);
  outcomes.push(...await runCases(kernel, "visible", withTypes(kernel)), ...await runCases(kernel, "hidden", withoutTypes(kernel)));
}
console.log();
console.log(formatTable(
  ["kernel", "types", "rung", "as expected", "said"],
  outcomes.map(({ kernel, btf, name, passed, said }) => [kernel, btf, name, passed ? "yes" : "NO", shorten(said)]),
));
const failed = outcomes.filter(({ passed }) => !passed).length;
console.log(`\n${((performance.now() - startMs) / 60_000).toFixed(1)} min`);
console.log(`${outcomes.length - failed} passed, ${failed} failed`);
Deno.exit(failed === 0 && outcomes.length > 0 ? 0 : 1);
