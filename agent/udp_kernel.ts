/** The kernel programs that count UDP, beside those of any rung, and the flows that they keep. */

import { UDP_COUNTER, UDP_FLOW, UDP_KEY, UDP_SOCKET } from "../bpf/udp_flow.gen.ts";
import { BpfObject, LibbpfError } from "../ffi/libbpf.ts";
import { setInnerMap, takeEntries } from "../ffi/libbpf_maps.ts";
import { kernelRelease } from "./kernel_family.ts";
import { checkLayouts } from "./layout.ts";
import {
  readUdpRecord,
  readUdpSocket,
  UDP_FLOW_BYTES,
  UDP_KEY_BYTES,
  UDP_SOCKET_BYTES,
  type UdpRecord,
  type UdpSocket,
} from "./udp_record.ts";
import { walkRecords } from "./walk_records.ts";

/** Totals since the programs were attached, of every CPU. */
export interface UdpCounters {
  /** Flows begun: a socket, a peer and a process in one period. */
  readonly udp_flows: number;
  /** Datagrams that were counted without their peer, because the map of flows was full. */
  readonly udp_map_full_datagrams: number;
  /** Datagrams that were not counted, because there was no room for their socket either. */
  readonly udp_lost_datagrams: number;
  readonly udp_lost_bytes: number;
  /** Datagrams whose peer no program could see, such as recv(2) on a socket that is not connected. */
  readonly udp_peer_unknown_datagrams: number;
  /** Calls that were not counted, at most: the kernel leaves a program out where another thread was preempted within it. */
  readonly udp_missed_calls: number;
}

/** Maps that both objects use, so that processes describe themselves once and in one ring. */
const SHARED_MAPS = ["events", "described", "counters"] as const;
/** What is attached: `tracing` in this order, calls of send and receive with their lengths; `cgroup`, the peers that calls name. */
interface ProgramSet {
  readonly tracing: readonly string[];
  readonly cgroup: readonly string[];
}
const PEERS = ["skyfall_udp_to_ipv4", "skyfall_udp_to_ipv6", "skyfall_udp_from_ipv4", "skyfall_udp_from_ipv6"];
export const UDP_PROGRAMS = {
  counting: { tracing: ["skyfall_udp_sent", "skyfall_udp_received"], cgroup: PEERS },
  /** Where a thread can be preempted within a tracepoint's program, each has a second that counts what the first could not. */
  countingTwice: {
    tracing: ["skyfall_udp_sent_1", "skyfall_udp_sent_2", "skyfall_udp_received_1", "skyfall_udp_received_2"],
    cgroup: PEERS,
  },
  /** Kernels without the tracepoints. */
  countingFunctions: {
    tracing: ["skyfall_udp_sent_v4", "skyfall_udp_sent_v6", "skyfall_udp_received_v4", "skyfall_udp_received_v6"],
    cgroup: PEERS,
  },
  countingOldFunctions: {
    tracing: ["skyfall_udp_sent_v4", "skyfall_udp_sent_v6", "skyfall_udp_received_old_v4", "skyfall_udp_received_old_v6"],
    cgroup: PEERS,
  },
  /** Older kernels still: peers alone. */
  seeing: {
    tracing: [],
    cgroup: [
      "skyfall_udp_seen_connect4",
      "skyfall_udp_seen_connect6",
      "skyfall_udp_seen_to_ipv4",
      "skyfall_udp_seen_to_ipv6",
      "skyfall_udp_seen_from_ipv4",
      "skyfall_udp_seen_from_ipv6",
    ],
  },
} as const satisfies Readonly<Record<string, ProgramSet>>;
type Mode = keyof typeof UDP_PROGRAMS;
/** What libbpf says of a tracepoint or a function that the kernel does not have. */
const ESRCH = 3;
/** Kernels, as 1,000 * major + minor: the first whose tracepoints may be preempted. */
const PREEMPTIBLE_SINCE = 6_019;
/** The first that tells a program at the end of a function its socket's cookie, and whose functions of UDP are those of today. */
const COOKIES_SINCE = 5_012, FUNCTIONS_SINCE = 5_019;
const OBJECT = new URL("../bpf/udp.bpf.o", import.meta.url), FUNCTIONS_OBJECT = new URL("../bpf/udp_functions.bpf.o", import.meta.url);
/** UDP_FLOWS_MAX of bpf/udp.bpf.h, and how full a map may be before it is taken early. */
const FLOWS_MAX = 65_536, FLOWS_EARLY = FLOWS_MAX / 2;

/** A map of flows of which there are two: while the programs fill one, the other is empty. */
class TwoGenerations {
  readonly #outerFd: number;
  readonly #fds: readonly number[];
  #current = 0;

  constructor(object: BpfObject, map: string) {
    this.#outerFd = object.mapFd(map);
    this.#fds = [object.mapFd(`${map}_a`), object.mapFd(`${map}_b`)];
  }

  take(): UdpRecord[] {
    const full = this.#fds[this.#current]!;
    this.#current = 1 - this.#current;
    setInnerMap(this.#outerFd, 0, this.#fds[this.#current]!);
    const records: UdpRecord[] = [];
    takeEntries(full, UDP_KEY_BYTES, UDP_FLOW_BYTES, (key, keyAt, flow, at) => records.push(readUdpRecord(key, keyAt, flow, at)));
    return records;
  }
}

/** UDP programs that are attached until disposed of. */
export class UdpPrograms implements Disposable {
  readonly #object: BpfObject;
  readonly #flows: TwoGenerations;
  readonly #rest: TwoGenerations;
  /** On old kernels only peers are known. */
  readonly amountsKnown: boolean;
  readonly #tracing: readonly string[];
  #takenFlows = 0;
  #takenMapFull = 0;

  /**
   * @param rung The object whose ring buffer tells of the processes.
   * @param cgroupRoot Where the peers of sockets that are not connected are learned; null where that cannot be.
   * @param mode Which programs, as the kernel allows.
   * @throws {LibbpfError} If the kernel refuses.
   * @throws {TypeError} If the object's structures are laid out otherwise than this agent reads them.
   */
  constructor(rung: BpfObject, cgroupRoot: string | null, mode: Mode) {
    const inFunctions = /Functions$/.test(mode);
    const elf = Deno.readFileSync(inFunctions ? FUNCTIONS_OBJECT : OBJECT);
    checkLayouts(elf, { udp_key: UDP_KEY, udp_flow: UDP_FLOW, udp_socket: UDP_SOCKET });
    const wanted: ProgramSet = UDP_PROGRAMS[mode], names = [...wanted.tracing, ...wanted.cgroup];
    const ofObject = Object.entries(UDP_PROGRAMS).filter(([other]) => /Functions$/.test(other) === inFunctions);
    const without = ofObject.flatMap(([, { tracing, cgroup }]) => [...tracing, ...cgroup]).filter((name) => !names.includes(name));
    this.amountsKnown = mode !== "seeing";
    using stack = new DisposableStack();
    const shared = new Map(SHARED_MAPS.map((name) => [name, rung.mapFd(name)]));
    this.#object = stack.use(BpfObject.load(elf, { without, shared }));
    this.#tracing = wanted.tracing;
    this.#flows = new TwoGenerations(this.#object, "udp_flows");
    this.#rest = new TwoGenerations(this.#object, "udp_rest");
    // Peers first: a call that ends before they are told would have none.
    if (cgroupRoot !== null) { for (const program of wanted.cgroup) this.#object.attachCgroup(program, cgroupRoot); }
    for (const program of wanted.tracing) this.#object.attach(program);
    stack.move();
  }

  /** Takes what was counted since the last call; every byte is in exactly one answer. */
  take(): UdpRecord[] {
    this.#takenFlows = this.#flowsBegun();
    const records = this.#flows.take();
    const { udp_map_full_datagrams } = this.counters();
    if (udp_map_full_datagrams !== this.#takenMapFull) records.push(...this.#rest.take());
    this.#takenMapFull = udp_map_full_datagrams;
    return records;
  }

  /** Whether so many flows have begun since the last `take()` that the next should not wait for its interval. */
  get isFilling(): boolean {
    return this.#flowsBegun() - this.#takenFlows > FLOWS_EARLY;
  }

  /** That counter alone: it is asked for often. */
  #flowsBegun(): number {
    const first = UDP_COUNTER.UDP_COUNTER_FLOWS;
    return Number(this.#object.perCpuCounters("udp_counters", first + 1)[first]);
  }

  /** Every UDP socket that has a port, as it is now. */
  sockets(): UdpSocket[] {
    const sockets: UdpSocket[] = [];
    for (const { view, at } of walkRecords(this.#object.iterate("skyfall_udp_sockets", null), UDP_SOCKET_BYTES)) {
      sockets.push(readUdpSocket(view, at));
    }
    return sockets;
  }

  counters(): UdpCounters {
    const values = this.#object.perCpuCounters("udp_counters", UDP_COUNTER.UDP_COUNTER_MAX).map(Number);
    return {
      udp_flows: values[UDP_COUNTER.UDP_COUNTER_FLOWS]!,
      udp_map_full_datagrams: values[UDP_COUNTER.UDP_COUNTER_MAP_FULL]!,
      udp_lost_datagrams: values[UDP_COUNTER.UDP_COUNTER_LOST_DATAGRAMS]!,
      udp_lost_bytes: values[UDP_COUNTER.UDP_COUNTER_LOST_BYTES]!,
      udp_peer_unknown_datagrams: values[UDP_COUNTER.UDP_COUNTER_PEER_UNKNOWN]!,
      udp_missed_calls: Math.max(0, this.#missedRuns() - values[UDP_COUNTER.UDP_COUNTER_RESCUED]!),
    };
  }

  /** File descriptors of the programs that run for others' calls. */
  attachedFds(): number[] {
    return this.#object.attachedFds();
  }

  /** Of the first programs: what they missed and the second did not is rescued. */
  #missedRuns(): number {
    const first = this.#tracing.filter((program) => !program.endsWith("_2"));
    return first.reduce((sum, program) => sum + (this.#object.missedRuns(program) ?? 0), 0);
  }

  [Symbol.dispose](): void {
    this.#object[Symbol.dispose]();
  }
}

/** The programs, and what of UDP this host cannot have: its kernel is too old, or refuses. */
export function attachUdp(
  rung: BpfObject,
  cgroupRoot: string | null,
): { readonly udp: UdpPrograms | null; readonly missing: string | null } {
  const missing = cgroupRoot === null ? "no control group hierarchy of version 2 is mounted" : null;
  let refusal = "";
  for (const mode of possibleModes()) {
    if (missing !== null && mode === "seeing") return { udp: null, missing };
    try {
      const udp = new UdpPrograms(rung, cgroupRoot, mode);
      return { udp, missing: missing === null ? null : `peers of sockets that are not connected are unknown: ${missing}` };
    } catch (error) {
      if (!(error instanceof LibbpfError)) throw error;
      if (refusal === "" || error.errno !== ESRCH) refusal = error.message;
    }
  }
  return { udp: null, missing: refusal };
}

/** Preferred first. */
function possibleModes(): readonly Mode[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernelRelease()) ?? [];
  const version = Number(major) * 1_000 + Number(minor);
  const tracepoints = version < PREEMPTIBLE_SINCE ? "counting" : "countingTwice";
  if (version < COOKIES_SINCE) return [tracepoints, "seeing"];
  return [tracepoints, version < FUNCTIONS_SINCE ? "countingOldFunctions" : "countingFunctions", "seeing"];
}
