/** The kernel's ring buffer, in which its programs report: mapped, read in place, and waited for. */

import { FileDescriptor, lastErrno, LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  // int munmap(void *addr, size_t length)
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  // int epoll_create1(int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32", nonblocking: true },
  // int eventfd(unsigned int initval, int flags)
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count)
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
} as const;

const PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1;
const PAGE_BYTES = 4_096;
const RING_HEADER_BYTES = 8;
const RING_BUSY = 0x8000_0000, RING_DISCARDED = 0x4000_0000;
const EPOLL_CLOEXEC = 0o2000000, EFD_CLOEXEC = 0o2000000, EPOLL_CTL_ADD = 1, EPOLLIN = 1, EPOLLET = 0x8000_0000;
/** `struct epoll_event` is packed on x86-64, and nowhere else: 12 bytes or 16. */
const EPOLL_EVENT_BYTES = 16, EPOLL_EVENTS_MAX = 2;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** BPF_MAP_TYPE_RINGBUF (kernel: Documentation/bpf/ringbuf.rst). */
export class RingBuffer implements Disposable {
  readonly #ringBytes: number;
  readonly #consumerPage: Deno.PointerObject;
  readonly #producerPages: Deno.PointerObject;
  readonly #consumerPosition: BigUint64Array;
  readonly #producerPosition: BigUint64Array;
  readonly #headers: Uint32Array;
  readonly #data: DataView;
  readonly #poll: FileDescriptor;
  readonly #interrupts: FileDescriptor;

  /**
   * Maps a ring buffer of `ringBytes`.
   *
   * @throws {LibcError} If the kernel refuses.
   */
  constructor(mapFd: number, ringBytes: number) {
    this.#ringBytes = ringBytes;
    this.#consumerPage = map(PAGE_BYTES, PROT_READ | PROT_WRITE, mapFd, 0);
    // The data is mapped twice in a row, so that a record which wraps around is still in one piece.
    this.#producerPages = map(PAGE_BYTES + 2 * ringBytes, PROT_READ, mapFd, PAGE_BYTES);
    const producer = Deno.UnsafePointerView.getArrayBuffer(this.#producerPages, PAGE_BYTES + 2 * ringBytes);
    this.#consumerPosition = new BigUint64Array(Deno.UnsafePointerView.getArrayBuffer(this.#consumerPage, 8));
    this.#producerPosition = new BigUint64Array(producer, 0, 1);
    this.#headers = new Uint32Array(producer, PAGE_BYTES);
    this.#data = new DataView(producer, PAGE_BYTES);
    this.#poll = new FileDescriptor(ok(libc().epoll_create1(EPOLL_CLOEXEC)));
    this.#interrupts = new FileDescriptor(ok(libc().eventfd(0, EFD_CLOEXEC)));
    this.#watch(mapFd);
    this.#watch(this.#interrupts.fd);
  }

  /** Edge-triggered: what lies in the ring wakes nobody, only a program that asks for it does. */
  #watch(fd: number): void {
    const event = new Uint8Array(EPOLL_EVENT_BYTES);
    new DataView(event.buffer).setUint32(0, EPOLLIN | EPOLLET, true);
    ok(libc().epoll_ctl(this.#poll.fd, EPOLL_CTL_ADD, fd, event));
  }

  /** Hands every finished record to `onRecord`, which may read `view` from `offset` during the call only; returns how many there were. */
  drain(onRecord: (view: DataView, offset: number, bytes: number) => void): number {
    let position = Number(Atomics.load(this.#consumerPosition, 0));
    const end = Number(Atomics.load(this.#producerPosition, 0));
    let records = 0;
    while (position < end) {
      const offset = position % this.#ringBytes;
      const header = Atomics.load(this.#headers, offset / 4);
      if ((header & RING_BUSY) !== 0) break;
      const bytes = header & ~RING_DISCARDED;
      if ((header & RING_DISCARDED) === 0) {
        onRecord(this.#data, offset + RING_HEADER_BYTES, bytes);
        records++;
      }
      position += (bytes + RING_HEADER_BYTES + 7) & ~7;
    }
    Atomics.store(this.#consumerPosition, 0, BigInt(position));
    return records;
  }

  /** Resolves when a program asks to be read (BPF_RB_FORCE_WAKEUP), when `interrupt()` is called, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    const events = new Uint8Array(EPOLL_EVENTS_MAX * EPOLL_EVENT_BYTES);
    await libc().epoll_wait(this.#poll.fd, events, EPOLL_EVENTS_MAX, Math.ceil(timeoutMs));
  }

  /** Ends a `wait()`, or the next one where there is none. */
  interrupt(): void {
    libc().write(this.#interrupts.fd, BigUint64Array.of(1n), 8n);
  }

  [Symbol.dispose](): void {
    this.#interrupts[Symbol.dispose]();
    this.#poll[Symbol.dispose]();
    libc().munmap(this.#consumerPage, BigInt(PAGE_BYTES));
    libc().munmap(this.#producerPages, BigInt(PAGE_BYTES + 2 * this.#ringBytes));
  }
}

function map(bytes: number, protection: number, fd: number, offset: number): Deno.PointerObject {
  const address = libc().mmap(null, BigInt(bytes), protection, MAP_SHARED, fd, BigInt(offset));
  if (address === null || Deno.UnsafePointer.value(address) === 0xffff_ffff_ffff_ffffn) {
    throw new LibcError("map the ring buffer", lastErrno());
  }
  return address;
}

function ok(result: number): number {
  if (result < 0) throw new LibcError("wait for the ring buffer", lastErrno());
  return result;
}
