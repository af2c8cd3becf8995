/** Kernel programs at work: attaches those of a rung, and hands on what they report. */

import { KPROBE_HOOK } from "../bpf/kprobe_hook.gen.ts";
import { COUNTER, SOCKET_ELSEWHERE } from "../bpf/tcp_event.gen.ts";
import type { RingBuffer } from "../ffi/bpf_ring_buffer.ts";
import { BpfObject } from "../ffi/libbpf.ts";
import { enableRunStatistics, programRunNs } from "../ffi/libbpf_statistics.ts";
import { MemoryFile } from "../ffi/libc_memory_file.ts";
import { NetworkNamespace } from "../ffi/libc_namespace.ts";
import { cgroupRoot } from "./cgroups.ts";
import {
  EVENT_KIND,
  PROCESS_EVENT_BYTES,
  type ProcessEvent,
  readProcessEvent,
  readTcpEvent,
  TCP_EVENT_BYTES,
  type TcpEvent,
} from "./event.ts";
import { checkEventLayouts } from "./layout.ts";
import type { RunStatistics } from "./kernel_cost.ts";
import { ProcWalk } from "./proc_walk.ts";
import { attachUdp, type UdpPrograms } from "./udp_kernel.ts";
import { walkRecords } from "./walk_records.ts";

/** The kernel programs of a rung of the ladder, and how they are attached on this host. */
export interface RungPrograms {
  readonly object: Uint8Array<ArrayBuffer>;
  /** Type information of this kernel, where it has none of its own and the object needs it. */
  readonly btf: Uint8Array<ArrayBuffer> | null;
  /** Programs, each with the kernel function to enter from, or null where its section says it. */
  readonly attach: readonly (readonly [program: string, kernelFunction: string | null])[];
  /** Program that sees the last close(2) through the control group of every process, or null where a hook of `attach` does. */
  readonly cgroupRelease: string | null;
  /** How open sockets are found: by iterators over all of them, or by reading /proc. */
  readonly openSockets: "iterators" | "proc";
  /** Programs of the object that are left out. */
  readonly without: readonly string[];
  /** Whether the object counts the calls of its hooks. */
  readonly countsHooks: boolean;
  /** Address of the kernel's `socket_file_ops`, or null where the programs do not ask for it. */
  readonly socketFileOperations: bigint | null;
}

/** Totals since the programs were attached, of every CPU. */
export interface KernelCounters {
  readonly events: number;
  readonly ring_lost: number;
  readonly map_full: number;
  readonly opened: number;
  readonly ended: number;
  readonly failed: number;
  /** Connections that were open before the programs were attached. */
  readonly found: number;
  /** Connections that are open without an owner. */
  readonly unowned: number;
  /** Connections and attempts that ended and were not followed, as of so many one was. */
  readonly left_out: number;
}

/** Called in the kernel's order. */
export interface EventHandlers {
  readonly onTcpEvent: (event: TcpEvent) => void;
  readonly onProcess: (event: ProcessEvent) => void;
}

/** RING_BYTES of bpf/conversation.bpf.h. */
const RING_BYTES = 8 * 1024 * 1024;

/** Kernel programs that are attached until disposed of. */
export class KernelPrograms implements Disposable {
  readonly #object: BpfObject;
  readonly #programs: RungPrograms;
  readonly #ring: RingBuffer;
  /** Other network namespaces with TCP sockets, by inode number, each with a process in it. */
  readonly #namespaces = new Map<number, number>();
  /** Null where there are iterators. */
  readonly #procWalk: ProcWalk | null;
  #sweptMisses: number | null = 0;
  readonly #discounted = { events: 0, opened: 0, ended: 0 };
  /** Why sockets that a reset closed may stay without an owner; null where the release hook is attached. */
  readonly releaseHookMissing: string | null;
  /** What counts UDP, or null; `udpMissing` says what of it cannot be had. */
  readonly udp: UdpPrograms | null;
  readonly udpMissing: string | null;

  /**
   * Loads and attaches the programs of a rung.
   *
   * @throws {LibbpfError} If the kernel refuses.
   * @throws {TypeError} If the object's events are laid out otherwise than this agent reads them.
   */
  constructor(programs: RungPrograms) {
    checkEventLayouts(programs.object, programs.openSockets === "iterators");
    using stack = new DisposableStack();
    this.#programs = programs;
    this.#object = stack.use(loadObject(programs));
    for (const [program, kernelFunction] of programs.attach) {
      if (kernelFunction === null) this.#object.attach(program);
      else this.#object.attachKprobe(program, kernelFunction);
    }
    this.releaseHookMissing = programs.cgroupRelease === null ? null : this.#attachRelease(programs.cgroupRelease);
    if (programs.socketFileOperations !== null) this.#object.set("socket_file_operations", programs.socketFileOperations);
    this.#ring = stack.use(this.#object.ringBuffer("events", RING_BYTES));
    this.#procWalk = programs.openSockets === "proc" ? stack.use(new ProcWalk(this.#object)) : null;
    ({ udp: this.udp, missing: this.udpMissing } = attachUdp(this.#object, cgroupRoot()));
    stack.move();
  }

  #attachRelease(program: string): string | null {
    const root = cgroupRoot();
    if (root === null) return "no control group hierarchy of version 2 is mounted";
    this.#object.attachCgroup(program, root);
    return null;
  }

  /** Hands on everything that was reported since the last call; returns the number of records. */
  drain(handlers: EventHandlers): number {
    return this.#ring.drain((view, offset, bytes) => {
      if (bytes === PROCESS_EVENT_BYTES) handlers.onProcess(readProcessEvent(view, offset));
      else if (bytes === TCP_EVENT_BYTES) handlers.onTcpEvent(readTcpEvent(view, offset));
      else throw new TypeError(`Cannot read event: ${bytes} bytes, needed ${TCP_EVENT_BYTES} or ${PROCESS_EVENT_BYTES}`);
    });
  }

  /** Resolves when the programs want `drain()` to be called soon, on `interrupt()`, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    await this.#ring.wait(timeoutMs);
  }

  /** Ends a `wait()`, or the next one where there is none. */
  interrupt(): void {
    this.#ring.interrupt();
  }

  /**
   * Has ends reported at which hooks were missed, for the next `drain()`. Looks at every socket that is followed, hence only
   * where a hook was missed since the last time, or the kernel does not tell.
   */
  sweep(): void {
    if (!this.#programs.countsHooks) return;
    const missed = this.missedRuns();
    if (missed !== null && missed === this.#sweptMisses) return;
    this.#sweptMisses = missed;
    for (const key of this.#object.keys("sockets")) this.#object.runOnce("skyfall_sweep", key);
  }

  /**
   * Hands on what each open TCP socket did since it was last handed on, where it did anything. Sockets that were open
   * before the programs were attached come once at first, listening ones included, with nothing done. Other network
   * namespaces are walked as far as `findOwners()` knows them.
   */
  *walkOpen(): Generator<TcpEvent> {
    if (this.#procWalk !== null) return yield* this.#procWalk.walkOpen();
    yield* this.#walkNamespace(null);
    for (const [inode, pid] of this.#namespaces) {
      using namespace = NetworkNamespace.of(pid, inode);
      if (namespace !== null) yield* this.#walkNamespace(namespace);
    }
  }

  /** The same for both ends of one conversation in the agent's network namespace alone. */
  *walkConversation(localPort: number, remotePort: number): Generator<TcpEvent> {
    this.#object.set("walked_ports", BigInt(localPort) | BigInt(remotePort) << 32n);
    try {
      yield* this.#procWalk?.walkOwnNamespace() ?? this.#walkNamespace(null);
    } finally {
      this.#object.set("walked_ports", 0n);
    }
  }

  *#walkNamespace(namespace: NetworkNamespace | null): Generator<TcpEvent> {
    for (const { view, at } of walkRecords(this.#object.iterate("skyfall_live", namespace), TCP_EVENT_BYTES)) yield readTcpEvent(view, at);
  }

  /**
   * Gives sockets without an owner the process that holds them open, and those that were passed on the one that does now;
   * what `walkOpen()` hands on next has it. Of connections that have ended, `drain()` hands it on.
   */
  findOwners(): void {
    if (this.#procWalk !== null) return this.#procWalk.findOwners();
    this.#namespaces.clear();
    try {
      for (const { view, at } of walkRecords(this.#object.iterate("skyfall_owners", null), SOCKET_ELSEWHERE.size)) {
        const { network_namespace, pid } = SOCKET_ELSEWHERE.fields;
        this.#namespaces.set(view.getUint32(at + network_namespace.offset, true), view.getUint32(at + pid.offset, true));
      }
    } finally {
      this.#object.set("walker", 0n); // what this thread closes from now on is its own
    }
  }

  /** From now on, of so many connections that begin one is followed. */
  keepOneIn(keepOneIn: number): void {
    this.#object.set("sampling", BigInt(keepOneIn));
  }

  /** How long the programs run in what others do. */
  runStatistics(): RunStatistics {
    const fds = [...this.#object.attachedFds(), ...this.udp?.attachedFds() ?? []];
    return { runNs: () => programRunNs(fds), enable: enableRunStatistics };
  }

  /** Other network namespaces that `walkOpen()` walks, each with a process in it. */
  get namespaces(): ReadonlyMap<number, number> {
    return this.#namespaces;
  }

  /** What the self-test had the programs count is left out of `counters()`. */
  discount({ events, opened, ended }: Readonly<Record<"events" | "opened" | "ended", number>>): void {
    this.#discounted.events += events;
    this.#discounted.opened += opened;
    this.#discounted.ended += ended;
  }

  counters(): KernelCounters {
    const values = this.#object.perCpuCounters("counters", COUNTER.COUNTER_MAX).map(Number);
    return {
      events: values[COUNTER.COUNTER_EVENTS]! - this.#discounted.events,
      ring_lost: values[COUNTER.COUNTER_RING_LOST]!,
      map_full: values[COUNTER.COUNTER_MAP_FULL]!,
      opened: values[COUNTER.COUNTER_OPENED]! - this.#discounted.opened,
      ended: values[COUNTER.COUNTER_ENDED]! - this.#discounted.ended,
      failed: values[COUNTER.COUNTER_FAILED]!,
      found: values[COUNTER.COUNTER_FOUND]!,
      unowned: values[COUNTER.COUNTER_UNOWNED]! - values[COUNTER.COUNTER_OWNED]!,
      left_out: values[COUNTER.COUNTER_LEFT_OUT]!,
    };
  }

  /** How often each hook was called, by its name in bpf/kprobe_hook.h; null where they are not counted. */
  hookCounts(): Readonly<Record<string, number>> | null {
    if (!this.#programs.countsHooks) return null;
    const values = this.#object.perCpuCounters("hooks", KPROBE_HOOK.HOOK_MAX).map(Number);
    const names = Object.entries(KPROBE_HOOK).filter(([name]) => name !== "HOOK_MAX");
    return Object.fromEntries(names.map(([name, index]) => [name.replace(/^HOOK_/, "").toLowerCase(), values[index]!]));
  }

  /** Calls of hooks at which no program ran, as another was running on that processor; null where the kernel does not tell. */
  missedRuns(): number | null {
    const missed = this.#programs.attach.map(([program]) => this.#object.missedRuns(program));
    return missed.includes(null) ? null : missed.reduce((sum: number, count) => sum + count!, 0);
  }

  [Symbol.dispose](): void {
    this.udp?.[Symbol.dispose]();
    this.#ring[Symbol.dispose]();
    this.#procWalk?.[Symbol.dispose]();
    this.#object[Symbol.dispose]();
  }
}

export { EVENT_KIND };

function loadObject({ object, btf, without }: RungPrograms): BpfObject {
  if (btf === null) return BpfObject.load(object, { without });
  using file = new MemoryFile(btf);
  return BpfObject.load(object, { btfPath: file.path, without });
}
