/**
 * Open sockets of kernels without type information: the programs of bpf/kprobe_proc.bpf.h see what the kernel shows this
 * thread of them, while it reads /proc.
 */

import type { RingBuffer } from "../ffi/bpf_ring_buffer.ts";
import type { BpfObject } from "../ffi/libbpf.ts";
import { FileDescriptor, readKernelLink } from "../ffi/libc.ts";
import { ProcessFolder, processIds } from "../ffi/libc_proc_folder.ts";
import { readTcpEvent, type TcpEvent } from "./event.ts";

/** SHOWN_BYTES of bpf/kprobe_proc.bpf.h. */
const SHOWN_BYTES = 256 * 1024;
/** The kernel gives a page of lines at most with each read. */
const PAGE_BYTES = 4_096;
const TABLES = ["tcp", "tcp6"];
const SELF = "thread-self";

/** Walks what is open now, and who holds it; needs programs of its own attached. */
export class ProcWalk implements Disposable {
  readonly #object: BpfObject;
  readonly #shown: RingBuffer;
  #walks = 0n;

  constructor(object: BpfObject) {
    this.#object = object;
    this.#shown = object.ringBuffer("shown", SHOWN_BYTES);
  }

  /** As `KernelPrograms.walkOpen()`, in every network namespace that a process is in. */
  *walkOpen(): Generator<TcpEvent> {
    yield* this.walkOwnNamespace();
    for (const process of otherNamespaces()) yield* this.#walkNamespaceOf(process);
  }

  /** As `walkOpen()`, in the agent's own network namespace. */
  *walkOwnNamespace(): Generator<TcpEvent> {
    this.#begin();
    yield* this.#walkNamespaceOf(SELF);
  }

  *#walkNamespaceOf(process: number | string): Generator<TcpEvent> {
    for (const table of TABLES) yield* this.#walkTable(`/proc/${process}/net/${table}`);
  }

  *#walkTable(path: string): Generator<TcpEvent> {
    using file = FileDescriptor.open(path);
    if (file === null) return;
    const lines = new Uint8Array(PAGE_BYTES);
    for (let bytes = 1; bytes > 0;) {
      bytes = file.read(lines);
      const events: TcpEvent[] = [];
      this.#shown.drain((view, offset) => events.push(readTcpEvent(view, offset)));
      yield* events;
    }
  }

  /** As `KernelPrograms.findOwners()`. */
  findOwners(): void {
    this.#begin();
    for (const pid of processIds()) {
      using process = ProcessFolder.open(pid);
      if (process?.readStat()) process.followOpenFiles();
    }
  }

  /** Tells the programs which thread reads, and that a socket's holder may be another than at the walk before. */
  #begin(): void {
    this.#object.runOnce("skyfall_walk", ++this.#walks);
  }

  [Symbol.dispose](): void {
    this.#shown[Symbol.dispose]();
  }
}

/** A process in each network namespace but the agent's own, as far as the agent may look. */
function otherNamespaces(): Iterable<number> {
  const own = namespaceOf(SELF);
  const others = new Map<string, number>();
  for (const pid of processIds()) {
    const namespace = namespaceOf(pid);
    if (namespace !== null && namespace !== own) others.set(namespace, pid);
  }
  return others.values();
}

function namespaceOf(process: number | string): string | null {
  return readKernelLink(`/proc/${process}/ns/net`);
}
