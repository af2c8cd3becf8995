/** The C library: files of the kernel, its monotonic clock, and a UDP socket that tells every failed send. */

import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int open(const char *pathname, int flags, ...)
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t readlink(const char *path, char *buf, size_t bufsiz)
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp)
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int clock_getres(clockid_t clockid, struct timespec *res)
  clock_getres: { parameters: ["i32", "buffer"], result: "i32" },
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: "pointer" },
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags)
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags)
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
} as const;

const O_RDONLY = 0, O_CLOEXEC = 0o2000000, O_DIRECTORY = 0o200000;
const CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_BOOTTIME = 7, CLOCK_MONOTONIC_COARSE = 6;
const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000, MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1, SO_COOKIE = 57;
/** EPERM: others' processes, where /proc is mounted with hidepid=1. */
const EPERM = 1, ENOENT = 2, ESRCH = 3, EAGAIN = 11, EACCES = 13, ENOTDIR = 20;

/** The library, and where it keeps this thread's `errno`. */
interface Libc {
  readonly symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly errno: Int32Array;
}

let opened: Libc | undefined;

function libc(): Libc["symbols"] {
  return (opened ??= openLibc()).symbols;
}

function openLibc(): Libc {
  const { symbols } = openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  const location = symbols.__errno_location();
  if (location === null) throw new Error("Cannot read errno: __errno_location() gave no address");
  return { symbols, errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, Int32Array.BYTES_PER_ELEMENT)) };
}

/** A failed call of the C library; `errno` as in errno(3). */
export class LibcError extends Error {
  override readonly name = "LibcError";
  constructor(readonly action: string, readonly errno: number) {
    super(`Cannot ${action}: errno ${errno}`);
  }
}

/**
 * `errno` of this thread; read it straight after the failed call. It is read in place: a call that asks for it gives the
 * runtime's own locks time to change it (EAGAIN of a futex).
 */
export function lastErrno(): number {
  return (opened ??= openLibc()).errno[0]!;
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** A file descriptor that is closed when it leaves its scope. */
export class FileDescriptor implements Disposable {
  constructor(readonly fd: number) {}

  /** Opens a folder, for example a control group. */
  static openDirectory(path: string): FileDescriptor {
    const fd = libc().open(cString(path), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) throw new LibcError(`open folder "${path}"`, lastErrno());
    return new FileDescriptor(fd);
  }

  /** Opens a file for reading; null as in `readKernelFile()`. */
  static open(path: string): FileDescriptor | null {
    const fd = settled(() => libc().open(cString(path), O_RDONLY | O_CLOEXEC));
    return fd < 0 ? nullIfAbsent(`open "${path}"`) : new FileDescriptor(fd);
  }

  /** Reads up to `buffer.length` bytes; 0 at the end. */
  read(buffer: Uint8Array<ArrayBuffer>): number {
    const bytes = Number(libc().read(this.fd, buffer, BigInt(buffer.length)));
    if (bytes < 0) throw new LibcError(`read file descriptor ${this.fd}`, lastErrno());
    return bytes;
  }

  [Symbol.dispose](): void {
    libc().close(this.fd);
  }
}

/**
 * Reads a file of /proc or /sys, which Deno itself reads only with every permission granted.
 *
 * @returns At most `bytesMax` bytes, or null where the file, or the process that it tells of, is not there or not ours to read.
 * @throws {LibcError} If reading fails otherwise.
 */
export function readKernelFile(path: string, bytesMax: number): Uint8Array | null {
  using file = FileDescriptor.open(path);
  if (file === null) return null;
  let buffer = readingBuffer, length = 0;
  while (length < bytesMax) {
    if (length === buffer.length) buffer = grown(buffer);
    const room = buffer.subarray(length, bytesMax);
    const bytes = settled(() => Number(libc().read(file.fd, room, BigInt(room.length))));
    if (bytes < 0) return nullIfAbsent(`read "${path}"`);
    if (bytes === 0) break;
    length += bytes;
  }
  return buffer.slice(0, length);
}

/** What files are read into before they are copied: most are far smaller than their bound. */
const readingBuffer = new Uint8Array(65_536);

function grown(buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * buffer.length);
  larger.set(buffer);
  return larger;
}

/** Target of a symbolic link of /proc, or null as in `readKernelFile()`. */
export function readKernelLink(path: string): string | null {
  const buffer = new Uint8Array(4_096);
  const bytes = settled(() => Number(libc().readlink(cString(path), buffer, BigInt(buffer.length))));
  return bytes < 0 ? nullIfAbsent(`read link "${path}"`) : new TextDecoder().decode(buffer.subarray(0, bytes));
}

/**
 * Result of a call on a file of /proc or /sys. None of them has EAGAIN: where errno says so, a lock of the runtime left it
 * there on the way out of the call, and what the kernel said is lost; the call changes nothing, so it is made again.
 */
function settled(call: () => number): number {
  let result = call();
  for (let attempt = 1; attempt < 3 && result < 0 && lastErrno() === EAGAIN; attempt++) result = call();
  return result;
}

function nullIfAbsent(action: string): null {
  const errno = lastErrno();
  if ([EPERM, ENOENT, ESRCH, EACCES, ENOTDIR].includes(errno)) return null;
  throw new LibcError(action, errno);
}

/**
 * What to add to a time of bpf_ktime_get_ns() to get nanoseconds since 1970 UTC; read it again from time to time, as the
 * wall clock is adjusted. Exact to 256 ns, the distance of two doubles at this size.
 */
export function unixOffsetNs(): number {
  return Number(clockNs(CLOCK_REALTIME) - clockNs(CLOCK_MONOTONIC));
}

/** The clock of bpf_ktime_get_ns(). */
export function monotonicNs(): number {
  return Number(clockNs(CLOCK_MONOTONIC));
}

/** How long the host has been suspended since it was started. */
export function suspendedNs(): number {
  return Number(clockNs(CLOCK_BOOTTIME) - clockNs(CLOCK_MONOTONIC));
}

let tick: number | undefined;

/** Length of the kernel's tick (1 / CONFIG_HZ), which is what its coarse clock moves by. */
export function tickUs(): number {
  if (tick !== undefined) return tick;
  const timespec = new BigInt64Array(2);
  if (libc().clock_getres(CLOCK_MONOTONIC_COARSE, timespec) !== 0) throw new LibcError("read the clock's resolution", lastErrno());
  return tick = Number(timespec[1]) / 1_000;
}

function clockNs(clock: number): bigint {
  const timespec = new BigInt64Array(2);
  if (libc().clock_gettime(clock, timespec) !== 0) throw new LibcError(`read clock ${clock}`, lastErrno());
  return timespec[0]! * 1_000_000_000n + timespec[1]!;
}

/** A connected UDP socket. Unlike Deno's own, it tells a datagram that could not be sent. */
export class DatagramSender implements Disposable {
  readonly #fd: number;
  /** The address that the datagrams come from: 16 bytes, IPv4 mapped. */
  readonly localAddress: Uint8Array;
  readonly localPort: number;
  /** The kernel's number for the socket, unique per boot. */
  readonly cookie: number;

  /** @param address 16 bytes, IPv4 mapped. */
  constructor(address: Uint8Array, port: number, isIpv4: boolean) {
    this.#fd = libc().socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (this.#fd < 0) throw new LibcError("open a UDP socket", lastErrno());
    try {
      ({ localAddress: this.localAddress, localPort: this.localPort, cookie: this.cookie } = this.#connect(address, port, isIpv4));
    } catch (error) {
      libc().close(this.#fd);
      throw error;
    }
  }

  #connect(address: Uint8Array, port: number, isIpv4: boolean): { localAddress: Uint8Array; localPort: number; cookie: number } {
    const socketAddress = new Uint8Array(isIpv4 ? 16 : 28);
    const view = new DataView(socketAddress.buffer);
    view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
    view.setUint16(2, port);
    socketAddress.set(isIpv4 ? address.subarray(12) : address, isIpv4 ? 4 : 8);
    if (libc().connect(this.#fd, socketAddress, socketAddress.length) !== 0) throw new LibcError("connect a UDP socket", lastErrno());
    const local = new Uint8Array(28);
    if (libc().getsockname(this.#fd, local, new Uint32Array([local.length])) !== 0) throw new LibcError("name a UDP socket", lastErrno());
    return {
      localAddress: isIpv4 ? Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...local.subarray(4, 8)]) : local.slice(8, 24),
      localPort: new DataView(local.buffer).getUint16(2),
      cookie: this.#readCookie(),
    };
  }

  #readCookie(): number {
    const cookie = new BigUint64Array(1);
    if (libc().getsockopt(this.#fd, SOL_SOCKET, SO_COOKIE, cookie, new Uint32Array([8])) !== 0) {
      throw new LibcError("identify a UDP socket", lastErrno());
    }
    return Number(cookie[0]);
  }

  /**
   * Sends one datagram without waiting.
   *
   * @returns 0, or the errno: EAGAIN where the socket's buffer is full, ECONNREFUSED where an earlier datagram found nobody.
   */
  send(datagram: Uint8Array<ArrayBuffer>): number {
    return libc().send(this.#fd, datagram, BigInt(datagram.length), MSG_DONTWAIT) < 0 ? lastErrno() : 0;
  }

  /**
   * Reads what came back, without waiting; of a longer datagram only the beginning.
   *
   * @returns Its bytes, or the errno, negative: EAGAIN where nothing came, ECONNREFUSED where an earlier datagram found nobody.
   */
  receive(buffer: Uint8Array<ArrayBuffer>): number {
    const bytes = Number(libc().recv(this.#fd, buffer, BigInt(buffer.length), MSG_DONTWAIT));
    return bytes < 0 ? -lastErrno() : bytes;
  }

  [Symbol.dispose](): void {
    libc().close(this.#fd);
  }
}
