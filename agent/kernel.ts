/** The ladder of hooks: chooses a rung that this kernel offers, and hands on what its programs report. */

import { COUNTER, SOCKET_ELSEWHERE } from "../bpf/tcp_event.gen.ts";
import { BpfObject, type RingBuffer } from "../ffi/libbpf.ts";
import { readKernelFile } from "../ffi/libc.ts";
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
import { attachUdp, type UdpPrograms } from "./udp_kernel.ts";
import { walkRecords } from "./walk_records.ts";

/** A way to observe conversations. The rungs above a chosen one are those that were found wanting. */
export interface Rung {
  readonly name: string;
  /** Why this host cannot have it, or null. */
  readonly missing: () => string | null;
  readonly object: URL;
}

/** Preferred first. */
export const RUNGS: readonly Rung[] = [
  { name: "tp_btf", missing: missingForTpBtf, object: new URL("../bpf/tp_btf.bpf.o", import.meta.url) },
];

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
}

/** Called in the kernel's order. */
export interface EventHandlers {
  readonly onTcpEvent: (event: TcpEvent) => void;
  readonly onProcess: (event: ProcessEvent) => void;
}

/** RING_BYTES of bpf/conversation.bpf.h. */
const RING_BYTES = 8 * 1024 * 1024;

/** No rung works on this host. */
export class NoRungError extends Error {
  override readonly name = "NoRungError";
}

/** The first rung that this host can have. */
export function chooseRung(): Rung {
  const reasons = RUNGS.map((rung) => ({ rung, missing: rung.missing() }));
  const chosen = reasons.find(({ missing }) => missing === null);
  if (chosen === undefined) {
    throw new NoRungError(
      `Cannot observe this kernel: ${reasons.map(({ rung, missing }) => `rung "${rung.name}": ${missing}`).join("; ")}`,
    );
  }
  return chosen.rung;
}

/** Kernel programs that are attached until disposed of. */
export class KernelPrograms implements Disposable {
  readonly #object: BpfObject;
  readonly #ring: RingBuffer;
  /** Other network namespaces with TCP sockets, by inode number, each with a process in it. */
  readonly #namespaces = new Map<number, number>();
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
  constructor(rung: Rung) {
    const elf = Deno.readFileSync(rung.object);
    checkEventLayouts(elf);
    using stack = new DisposableStack();
    this.#object = stack.use(BpfObject.load(elf));
    this.#object.attach("skyfall_state");
    this.#object.attach("skyfall_exit");
    this.releaseHookMissing = this.#attachRelease();
    this.#ring = stack.use(this.#object.ringBuffer("events", RING_BYTES));
    ({ udp: this.udp, missing: this.udpMissing } = attachUdp(this.#object, cgroupRoot()));
    stack.move();
  }

  #attachRelease(): string | null {
    const root = cgroupRoot();
    if (root === null) return "no control group hierarchy of version 2 is mounted";
    this.#object.attachCgroup("skyfall_release", root);
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

  /**
   * Hands on what each open TCP socket did since it was last handed on, where it did anything. Sockets that were open
   * before the programs were attached come once at first, listening ones included, with nothing done. Other network
   * namespaces are walked as far as `findOwners()` knows them.
   */
  *walkOpen(): Generator<TcpEvent> {
    yield* this.#walkNamespace(null);
    for (const [inode, pid] of this.#namespaces) {
      using namespace = NetworkNamespace.of(pid, inode);
      if (namespace !== null) yield* this.#walkNamespace(namespace);
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
    this.#namespaces.clear();
    for (const { view, at } of walkRecords(this.#object.iterate("skyfall_owners", null), SOCKET_ELSEWHERE.size)) {
      const { network_namespace, pid } = SOCKET_ELSEWHERE.fields;
      this.#namespaces.set(view.getUint32(at + network_namespace.offset, true), view.getUint32(at + pid.offset, true));
    }
  }

  counters(): KernelCounters {
    const values = this.#object.perCpuCounters("counters", COUNTER.COUNTER_MAX).map(Number);
    return {
      events: values[COUNTER.COUNTER_EVENTS]!,
      ring_lost: values[COUNTER.COUNTER_RING_LOST]!,
      map_full: values[COUNTER.COUNTER_MAP_FULL]!,
      opened: values[COUNTER.COUNTER_OPENED]!,
      ended: values[COUNTER.COUNTER_ENDED]!,
      failed: values[COUNTER.COUNTER_FAILED]!,
      found: values[COUNTER.COUNTER_FOUND]!,
      unowned: values[COUNTER.COUNTER_UNOWNED]! - values[COUNTER.COUNTER_OWNED]!,
    };
  }

  [Symbol.dispose](): void {
    this.udp?.[Symbol.dispose]();
    this.#ring[Symbol.dispose]();
    this.#object[Symbol.dispose]();
  }
}

export { EVENT_KIND };

function missingForTpBtf(): string | null {
  return readKernelFile("/sys/kernel/btf/vmlinux", 4) === null
    ? "/sys/kernel/btf/vmlinux is not there: the kernel was built without CONFIG_DEBUG_INFO_BTF"
    : null;
}
