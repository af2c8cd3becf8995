/** The ladder of hooks: chooses a rung that this kernel offers, and hands on what its programs report. */

import { COUNTER } from "../bpf/tcp_event.gen.ts";
import { BpfObject, type RingBuffer } from "../ffi/libbpf.ts";
import { readKernelFile } from "../ffi/libc.ts";
import {
  EVENT_KIND,
  PROCESS_EVENT_BYTES,
  type ProcessEvent,
  readProcessEvent,
  readSocketOwner,
  readTcpEvent,
  SOCKET_OWNER_BYTES,
  type SocketOwner,
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
}

/** Called in the kernel's order. */
export interface EventHandlers {
  readonly onTcpEvent: (event: TcpEvent) => void;
  readonly onProcess: (event: ProcessEvent) => void;
}

/** RING_BYTES of bpf/conversation.bpf.h. */
const RING_BYTES = 8 * 1024 * 1024;
const MOUNTS_BYTES_MAX = 1 << 20;

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

  /** Every TCP socket as it is now, listening ones included. */
  liveSockets(): TcpEvent[] {
    const events: TcpEvent[] = [];
    walkRecords(this.#object, "skyfall_live", TCP_EVENT_BYTES, (view, at) => events.push(readTcpEvent(view, at)));
    return events;
  }

  /** By socket cookie, who holds each TCP socket open; of several processes the first that the walk met. */
  socketOwners(): Map<number, SocketOwner> {
    const owners = new Map<number, SocketOwner>();
    walkRecords(this.#object, "skyfall_owners", SOCKET_OWNER_BYTES, (view, at) => {
      const owner = readSocketOwner(view, at);
      if (!owners.has(owner.socket_cookie)) owners.set(owner.socket_cookie, owner);
    });
    return owners;
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
    };
  }

  [Symbol.dispose](): void {
    this.udp?.[Symbol.dispose]();
    this.#ring[Symbol.dispose]();
    this.#object[Symbol.dispose]();
  }
}

export { EVENT_KIND };

/** Where the version 2 hierarchy is mounted, on its own or beside version 1. */
export function cgroupRoot(): string | null {
  const mounts = readKernelFile("/proc/self/mounts", MOUNTS_BYTES_MAX);
  if (mounts === null) return null;
  const lines = new TextDecoder().decode(mounts).split("\n").map((line) => line.split(" "));
  return lines.find(([, , type]) => type === "cgroup2")?.[1] ?? null;
}

function missingForTpBtf(): string | null {
  return readKernelFile("/sys/kernel/btf/vmlinux", 4) === null
    ? "/sys/kernel/btf/vmlinux is not there: the kernel was built without CONFIG_DEBUG_INFO_BTF"
    : null;
}
