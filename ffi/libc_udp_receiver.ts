/** Receives datagrams many at a time, each with its sender and time (recvmmsg(2)). */

import { adviseHugePages } from "./libc_huge_pages.ts";
import { lastErrno, LibcError } from "./libc.ts";
import { UdpSocket } from "./libc_udp_socket.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, struct timespec *timeout)
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
} as const;

const AF_INET6 = 10, SOL_SOCKET = 1, SO_TIMESTAMPNS = 35;
const MSG_WAITFORONE = 0x10000, MSG_TRUNC = 0x20;
const EAGAIN = 11, EINTR = 4;

/** Datagrams that one call receives at most. */
export const BATCH_DATAGRAMS = 64;
/**
 * Room for one datagram, more than UDP over IPv4 or IPv6 carries. Not a power of 2: the beginnings of all datagrams of a
 * batch would fall into the same few sets of the processor's caches.
 */
export const SLOT_BYTES = 65_536 + 1_472;

/** `struct mmsghdr`: a msghdr of 56 bytes, then the length of what was received. */
const MMSGHDR_BYTES = 64, MSG_NAME = 0, MSG_NAMELEN = 8, MSG_IOV = 16, MSG_IOVLEN = 24, MSG_CONTROL = 32, MSG_CONTROLLEN = 40;
const MSG_FLAGS = 48, MSG_LEN = 56;
/** `struct iovec`. */
const IOVEC_BYTES = 16;
/** `struct sockaddr_in6`, in a slot of 32; of `struct sockaddr_in`. */
const NAME_BYTES = 28, NAME_STRIDE = 32, IPV6_ADDRESS = 8, IPV4_ADDRESS = 4, NAME_PORT = 2;
/** Room for the one control message of a datagram: `struct cmsghdr`, and a time (`struct timespec`). */
const CONTROL_BYTES = 32, CMSG_LEVEL = 8, CMSG_TYPE = 12, CMSG_DATA = 16;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** Reads a socket; what it gives is valid until the next `receive()`. */
export class UdpReceiver implements Disposable {
  readonly socket: UdpSocket;
  readonly #headers = new Uint8Array(BATCH_DATAGRAMS * MMSGHDR_BYTES);
  readonly #headersView = new DataView(this.#headers.buffer);
  readonly #iovecs = new BigUint64Array(BATCH_DATAGRAMS * 2);
  readonly #names = new Uint8Array(BATCH_DATAGRAMS * NAME_STRIDE);
  readonly #namesView = new DataView(this.#names.buffer);
  readonly #control = new Uint8Array(BATCH_DATAGRAMS * CONTROL_BYTES);
  readonly #controlView = new DataView(this.#control.buffer);
  readonly #data = new Uint8Array(BATCH_DATAGRAMS * SLOT_BYTES);
  /** Datagram i starts at `i * SLOT_BYTES`. */
  readonly view = new DataView(this.#data.buffer);
  /** Headers that the kernel wrote at the last call. */
  #lastCount = 0;

  /** @param socket Closed with the receiver. */
  constructor(socket: UdpSocket) {
    this.socket = socket;
    adviseHugePages(this.#data.buffer);
    this.#prepareHeaders();
  }

  /** As `UdpSocket.bind()`. */
  static bind(address: Uint8Array, port: number, isIpv4: boolean, text: string): UdpReceiver {
    return new UdpReceiver(UdpSocket.bind(address, port, isIpv4, text));
  }

  get port(): number {
    return this.socket.port;
  }

  /** As `UdpSocket.droppedDatagrams`. */
  get droppedDatagrams(): number {
    return this.socket.droppedDatagrams;
  }

  /** Receives up to `BATCH_DATAGRAMS`; returns how many, 0 if none came in time. */
  receive(): number {
    for (let i = 0; i < this.#lastCount; i++) this.#resetLengths(i);
    const count = libc().recvmmsg(this.socket.fd, this.#headers, BATCH_DATAGRAMS, MSG_WAITFORONE, null);
    if (count < 0) {
      this.#lastCount = 0;
      const errno = lastErrno();
      if (errno === EAGAIN || errno === EINTR) return 0;
      throw new LibcError("receive datagrams", errno);
    }
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

  /** Writes its sender's address as four words in network order, IPv4 mapped. */
  copySource(index: number, out: Uint32Array): void {
    const at = index * NAME_STRIDE, view = this.#namesView;
    if (view.getUint16(at, true) === AF_INET6) {
      for (let i = 0; i < 4; i++) out[i] = view.getUint32(at + IPV6_ADDRESS + 4 * i);
      return;
    }
    out[0] = out[1] = 0;
    out[2] = 0xffff;
    out[3] = view.getUint32(at + IPV4_ADDRESS);
  }

  /** Port that it came from. */
  sourcePort(index: number): number {
    return this.#namesView.getUint16(index * NAME_STRIDE + NAME_PORT);
  }

  /** When the kernel took it in, in milliseconds since 1970 UTC. */
  receivedUnixMs(index: number): number {
    const at = index * CONTROL_BYTES, view = this.#controlView;
    const hasTime = this.#headersView.getUint32(index * MMSGHDR_BYTES + MSG_CONTROLLEN, true) === CONTROL_BYTES &&
      view.getInt32(at + CMSG_LEVEL, true) === SOL_SOCKET && view.getInt32(at + CMSG_TYPE, true) === SO_TIMESTAMPNS;
    return hasTime ? this.#timeMs(at + CMSG_DATA) : Date.now(); // one that came before the option was set has none
  }

  /** Time of a `struct timespec`; its seconds are below 2^53. */
  #timeMs(at: number): number {
    const view = this.#controlView;
    return (view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32) * 1_000 + view.getUint32(at + 8, true) / 1e6;
  }

  [Symbol.dispose](): void {
    this.socket[Symbol.dispose]();
  }

  #resetLengths(index: number): void {
    const at = index * MMSGHDR_BYTES;
    this.#headersView.setUint32(at + MSG_NAMELEN, NAME_BYTES, true);
    this.#headersView.setUint32(at + MSG_CONTROLLEN, CONTROL_BYTES, true); // the upper half of the size_t stays 0
  }

  #prepareHeaders(): void {
    const data = addressOf(this.#data),
      iovecs = addressOf(this.#iovecs),
      names = addressOf(this.#names),
      control = addressOf(this.#control);
    for (let i = 0; i < BATCH_DATAGRAMS; i++) {
      this.#iovecs[2 * i] = data + BigInt(i * SLOT_BYTES);
      this.#iovecs[2 * i + 1] = BigInt(SLOT_BYTES);
      const at = i * MMSGHDR_BYTES;
      this.#headersView.setBigUint64(at + MSG_NAME, names + BigInt(i * NAME_STRIDE), true);
      this.#headersView.setBigUint64(at + MSG_IOV, iovecs + BigInt(i * IOVEC_BYTES), true);
      this.#headersView.setBigUint64(at + MSG_IOVLEN, 1n, true);
      this.#headersView.setBigUint64(at + MSG_CONTROL, control + BigInt(i * CONTROL_BYTES), true);
      this.#resetLengths(i);
    }
  }
}

function addressOf(buffer: Uint8Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer));
}
