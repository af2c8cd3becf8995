/** Bound UDP sockets, several on one port, and which of them gets a datagram (socket(7), SO_REUSEPORT). */

import { lastErrno, LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen)
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags, const struct sockaddr *dest_addr, socklen_t addrlen)
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const;

const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000, MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1, SO_RCVBUF = 8, SO_REUSEPORT = 15, SO_RCVTIMEO = 20, SO_RCVBUFFORCE = 33, SO_TIMESTAMPNS = 35, SO_MEMINFO = 55;
const SO_ATTACH_REUSEPORT_CBPF = 51, IPPROTO_IPV6 = 41, IPV6_V6ONLY = 26;
const EADDRINUSE = 98, EADDRNOTAVAIL = 99, EACCES = 13;

/** How long a receiver waits for a first datagram. */
const RECEIVE_TIMEOUT_US = 100_000n;
const RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024;
/** Words that SO_MEMINFO tells (linux/sock_diag.h), and which of them is the number of drops. */
const MEMINFO_WORDS = 9, MEMINFO_DROPS = 8;
/** `struct sock_filter`, and as many of them as the kernel takes (BPF_MAXINSNS). */
const FILTER_BYTES = 8, FILTERS_MAX = 4_096;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

const BIND_REMEDIES: Readonly<Record<number, string>> = {
  [EADDRINUSE]: "another program listens there; stop it or choose another port",
  [EADDRNOTAVAIL]: "this host has no such address",
  [EACCES]: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
};

/** A socket that cannot be bound; the message names the address and what to do. */
export class BindError extends Error {
  override readonly name = "BindError";
}

/** An instruction of classic BPF, as in `struct sock_filter`. */
export interface FilterInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** One of several sockets on one port. */
export class UdpSocket implements Disposable {
  readonly fd: number;
  readonly port: number;
  /** What the kernel granted; with less than asked for, bursts may be lost. */
  readonly receiveBufferBytes: number;
  readonly #isIpv4: boolean;

  private constructor(fd: number) {
    this.fd = fd;
    const granted = new Int32Array(1);
    must("read the receive buffer's size", libc().getsockopt(fd, SOL_SOCKET, SO_RCVBUF, granted, new Uint32Array([4])));
    this.receiveBufferBytes = granted[0]! / 2; // socket(7): the kernel doubles the value for its own needs
    const local = new Uint8Array(28);
    must("name a UDP socket", libc().getsockname(fd, local, new Uint32Array([local.length])));
    const view = new DataView(local.buffer);
    this.#isIpv4 = view.getUint16(0, true) === AF_INET;
    this.port = view.getUint16(2);
  }

  /**
   * Binds to an address of 16 bytes, IPv4 mapped; port 0 takes any. `::` takes IPv4 as well.
   *
   * @throws {BindError} If the address or port cannot be had.
   */
  static bind(address: Uint8Array, port: number, isIpv4: boolean, text: string): UdpSocket {
    return closeOnError(openSocket(isIpv4), (fd) => {
      setOption(fd, SO_REUSEPORT, new Int32Array([1]));
      if (!isIpv4) setOption(fd, IPV6_V6ONLY, new Int32Array([0]), IPPROTO_IPV6);
      bindTo(fd, address, port, isIpv4, text);
      growReceiveBuffer(fd);
      setOption(fd, SO_TIMESTAMPNS, new Int32Array([1]));
      setOption(fd, SO_RCVTIMEO, new BigInt64Array([0n, RECEIVE_TIMEOUT_US]));
      return new UdpSocket(fd);
    });
  }

  /**
   * Datagrams that the kernel dropped because the receive buffer was full, modulo 2^32. The count that SO_RXQ_OVFL would put
   * beside each datagram is older: it does not know of drops behind the last one that was queued.
   */
  get droppedDatagrams(): number {
    const words = new Uint32Array(MEMINFO_WORDS);
    must("read a socket's drops", libc().getsockopt(this.fd, SOL_SOCKET, SO_MEMINFO, words, new Uint32Array([words.byteLength])));
    return words[MEMINFO_DROPS]!;
  }

  /** Sends one datagram without waiting; false where the kernel does not take it. */
  send(datagram: Uint8Array<ArrayBuffer>, address: Uint8Array, port: number): boolean {
    const to = socketAddress(address, port, this.#isIpv4);
    return libc().sendto(this.fd, datagram, BigInt(datagram.length), MSG_DONTWAIT, to, to.length) >= 0;
  }

  /** The socket behind a file descriptor that another thread of this process has bound; that thread closes it. */
  static of(fd: number): UdpSocket {
    return new UdpSocket(fd);
  }

  /**
   * Has the kernel choose among all sockets of the port by a program, in place of its hash of addresses and ports. The
   * program sees a datagram's payload and returns a socket's place in the order of binding; when a socket is closed, the last
   * one takes its place. Beyond the last place the hash chooses.
   *
   * @throws {LibcError} If the kernel does not allow it.
   */
  steer(program: readonly FilterInstruction[]): void {
    if (program.length > FILTERS_MAX) throw new RangeError(`Cannot steer: ${program.length} instructions, needed at most ${FILTERS_MAX}`);
    const code = new Uint8Array(new ArrayBuffer(program.length * FILTER_BYTES)), view = new DataView(code.buffer);
    for (const [i, { code, jt, jf, k }] of program.entries()) {
      const at = i * FILTER_BYTES;
      view.setUint16(at, code, true);
      view.setUint8(at + 2, jt);
      view.setUint8(at + 3, jf);
      view.setUint32(at + 4, k, true);
    }
    const fprog = new BigUint64Array([BigInt(program.length), Deno.UnsafePointer.value(Deno.UnsafePointer.of(code))]); // struct sock_fprog
    setOption(this.fd, SO_ATTACH_REUSEPORT_CBPF, fprog);
  }

  [Symbol.dispose](): void {
    libc().close(this.fd);
  }
}

/**
 * Makes sure that nobody else has the port: another collector of the same user would share it without a word.
 *
 * @throws {BindError} If somebody has, or the address cannot be had.
 */
export function assertPortFree(address: Uint8Array, port: number, isIpv4: boolean, text: string): void {
  const fd = openSocket(isIpv4);
  try {
    bindTo(fd, address, port, isIpv4, text);
  } finally {
    libc().close(fd);
  }
}

function openSocket(isIpv4: boolean): number {
  return must("open a UDP socket", libc().socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

function closeOnError<T>(fd: number, use: (fd: number) => T): T {
  try {
    return use(fd);
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

function growReceiveBuffer(fd: number): void {
  const wanted = new Int32Array([RECEIVE_BUFFER_BYTES]);
  // Beyond net.core.rmem_max only with CAP_NET_ADMIN; without it, as far as that.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted, 4) !== 0) setOption(fd, SO_RCVBUF, wanted);
}

type OptionValue = Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>;

function setOption(fd: number, option: number, value: OptionValue, level = SOL_SOCKET): void {
  must(`set socket option ${option}`, libc().setsockopt(fd, level, option, value, value.byteLength));
}

/** `struct sockaddr_in` or `struct sockaddr_in6`. */
function socketAddress(address: Uint8Array, port: number, isIpv4: boolean): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(isIpv4 ? 16 : 28), view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(isIpv4 ? address.subarray(12) : address, isIpv4 ? 4 : 8);
  return bytes;
}

function bindTo(fd: number, address: Uint8Array, port: number, isIpv4: boolean, text: string): void {
  const local = socketAddress(address, port, isIpv4);
  if (libc().bind(fd, local, local.length) === 0) return;
  const errno = lastErrno();
  throw new BindError(`Cannot listen on UDP ${text}: ${BIND_REMEDIES[errno] ?? `errno ${errno}`}`);
}

function must(action: string, result: number): number {
  if (result < 0) throw new LibcError(action, lastErrno());
  return result;
}
