/** A UDP socket that receives datagrams many at a time, with the kernel's count of those it dropped (recvmmsg(2), socket(7)). */

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
  // int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, struct timespec *timeout)
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const;

const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1, SO_RCVBUF = 8, SO_REUSEPORT = 15, SO_RCVTIMEO = 20, SO_RCVBUFFORCE = 33, SO_RXQ_OVFL = 40;
const MSG_WAITFORONE = 0x10000, MSG_TRUNC = 0x20;
const EAGAIN = 11, EINTR = 4, EADDRINUSE = 98, EADDRNOTAVAIL = 99, EACCES = 13;

/** Datagrams that one call receives at most. */
export const BATCH_DATAGRAMS = 64;
/** Room for one datagram: the largest that UDP over IPv4 carries. */
export const SLOT_BYTES = 65_536;
/** How long `receive()` waits for a first datagram. */
const RECEIVE_TIMEOUT_US = 100_000n;
const RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024;

/** `struct mmsghdr`: a msghdr of 56 bytes, then the length of what was received. */
const MMSGHDR_BYTES = 64, MSG_IOV = 16, MSG_IOVLEN = 24, MSG_CONTROL = 32, MSG_CONTROLLEN = 40, MSG_FLAGS = 48, MSG_LEN = 56;
/** `struct iovec`. */
const IOVEC_BYTES = 16;
/** `struct cmsghdr` of 16 bytes, then the u32 of SO_RXQ_OVFL, padded. */
const CONTROL_BYTES = 24, CMSG_TYPE = 12, CMSG_DATA = 16;

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

/** One of several sockets on one port; the kernel spreads the senders over them. */
export class UdpReceiver implements Disposable {
  readonly #fd: number;
  readonly #headers = new Uint8Array(BATCH_DATAGRAMS * MMSGHDR_BYTES);
  readonly #headersView = new DataView(this.#headers.buffer);
  readonly #iovecs = new BigUint64Array(BATCH_DATAGRAMS * 2);
  readonly #control = new Uint8Array(BATCH_DATAGRAMS * CONTROL_BYTES);
  readonly #controlView = new DataView(this.#control.buffer);
  readonly #data = new Uint8Array(BATCH_DATAGRAMS * SLOT_BYTES);
  /** Datagram i starts at `i * SLOT_BYTES`. */
  readonly view = new DataView(this.#data.buffer);
  readonly port: number;
  /** What the kernel granted; with less than asked for, bursts may be lost. */
  readonly receiveBufferBytes: number;
  #droppedDatagrams = 0;
  /** Headers that the kernel wrote at the last call. */
  #lastCount = 0;

  /**
   * Binds to an address of 16 bytes, IPv4 mapped; port 0 takes any.
   *
   * @throws {BindError} If the address or port cannot be had.
   */
  constructor(address: Uint8Array, port: number, isIpv4: boolean, text: string) {
    this.#fd = must("open a UDP socket", libc().socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    try {
      this.#bind(address, port, isIpv4, text);
      this.receiveBufferBytes = this.#growReceiveBuffer();
      this.#setOption(SO_RXQ_OVFL, new Int32Array([1]));
      this.#setOption(SO_RCVTIMEO, new BigInt64Array([0n, RECEIVE_TIMEOUT_US]));
      const local = new Uint8Array(28);
      must("name a UDP socket", libc().getsockname(this.#fd, local, new Uint32Array([local.length])));
      this.port = new DataView(local.buffer).getUint16(2);
    } catch (error) {
      libc().close(this.#fd);
      throw error;
    }
    this.#prepareHeaders();
  }

  /** Datagrams that the kernel dropped because the receive buffer was full, as of the last one received. */
  get droppedDatagrams(): number {
    return this.#droppedDatagrams;
  }

  /** Receives up to `BATCH_DATAGRAMS`; returns how many, 0 if none came in time. */
  receive(): number {
    for (let i = 0; i < this.#lastCount; i++) this.#resetControlLength(i);
    const count = libc().recvmmsg(this.#fd, this.#headers, BATCH_DATAGRAMS, MSG_WAITFORONE, null);
    if (count < 0) {
      this.#lastCount = 0;
      const errno = lastErrno();
      if (errno === EAGAIN || errno === EINTR) return 0;
      throw new LibcError("receive datagrams", errno);
    }
    if (count > 0) this.#noteDrops(count - 1);
    this.#lastCount = count;
    return count;
  }

  /** Bytes of the last batch's datagram `index`. */
  bytes(index: number): number {
    return this.#headersView.getUint32(index * MMSGHDR_BYTES + MSG_LEN, true);
  }

  /** Whether it was longer than the slot. */
  isTruncated(index: number): boolean {
    return (this.#headersView.getUint32(index * MMSGHDR_BYTES + MSG_FLAGS, true) & MSG_TRUNC) !== 0;
  }

  [Symbol.dispose](): void {
    libc().close(this.#fd);
  }

  /** The kernel tells the drops so far with each datagram, once there were any. */
  #noteDrops(index: number): void {
    const at = index * CONTROL_BYTES;
    const hasControl = this.#headersView.getUint32(index * MMSGHDR_BYTES + MSG_CONTROLLEN, true) >= CMSG_DATA + 4;
    if (hasControl && this.#controlView.getInt32(at + CMSG_TYPE, true) === SO_RXQ_OVFL) {
      this.#droppedDatagrams = this.#controlView.getUint32(at + CMSG_DATA, true);
    }
  }

  #bind(address: Uint8Array, port: number, isIpv4: boolean, text: string): void {
    this.#setOption(SO_REUSEPORT, new Int32Array([1]));
    bindTo(this.#fd, address, port, isIpv4, text);
  }

  #growReceiveBuffer(): number {
    const wanted = new Int32Array([RECEIVE_BUFFER_BYTES]);
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN; without it, as far as that.
    if (libc().setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted, 4) !== 0) this.#setOption(SO_RCVBUF, wanted);
    const granted = new Int32Array(1);
    must("read the receive buffer's size", libc().getsockopt(this.#fd, SOL_SOCKET, SO_RCVBUF, granted, new Uint32Array([4])));
    return granted[0]! / 2; // socket(7): the kernel doubles the value for its own needs
  }

  #setOption(option: number, value: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>): void {
    must(`set socket option ${option}`, libc().setsockopt(this.#fd, SOL_SOCKET, option, value, value.byteLength));
  }

  #resetControlLength(index: number): void {
    this.#headersView.setUint32(index * MMSGHDR_BYTES + MSG_CONTROLLEN, CONTROL_BYTES, true); // the upper half of the size_t stays 0
  }

  #prepareHeaders(): void {
    const data = addressOf(this.#data), iovecs = addressOf(this.#iovecs), control = addressOf(this.#control);
    for (let i = 0; i < BATCH_DATAGRAMS; i++) {
      this.#iovecs[2 * i] = data + BigInt(i * SLOT_BYTES);
      this.#iovecs[2 * i + 1] = BigInt(SLOT_BYTES);
      const at = i * MMSGHDR_BYTES;
      this.#headersView.setBigUint64(at + MSG_IOV, iovecs + BigInt(i * IOVEC_BYTES), true);
      this.#headersView.setBigUint64(at + MSG_IOVLEN, 1n, true);
      this.#headersView.setBigUint64(at + MSG_CONTROL, control + BigInt(i * CONTROL_BYTES), true);
      this.#resetControlLength(i);
    }
  }
}

/**
 * Makes sure that nobody else has the port: another collector of the same user would share it without a word.
 *
 * @throws {BindError} If somebody has, or the address cannot be had.
 */
export function assertPortFree(address: Uint8Array, port: number, isIpv4: boolean, text: string): void {
  const fd = must("open a UDP socket", libc().socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    bindTo(fd, address, port, isIpv4, text);
  } finally {
    libc().close(fd);
  }
}

function bindTo(fd: number, address: Uint8Array, port: number, isIpv4: boolean, text: string): void {
  const socketAddress = new Uint8Array(isIpv4 ? 16 : 28);
  const view = new DataView(socketAddress.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  socketAddress.set(isIpv4 ? address.subarray(12) : address, isIpv4 ? 4 : 8);
  if (libc().bind(fd, socketAddress, socketAddress.length) === 0) return;
  const errno = lastErrno();
  throw new BindError(`Cannot listen on UDP ${text}: ${BIND_REMEDIES[errno] ?? `errno ${errno}`}`);
}

function addressOf(buffer: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
}

function must(action: string, result: number): number {
  if (result < 0) throw new LibcError(action, lastErrno());
  return result;
}
