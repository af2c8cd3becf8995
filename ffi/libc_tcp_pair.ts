/** A TCP conversation of known bytes between two sockets of this process, and the kernel's own account of it. */

import { LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int listen(int sockfd, int backlog)
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int accept4(int sockfd, struct sockaddr *addr, socklen_t *addrlen, int flags)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags)
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags)
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const;

const AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_CLOEXEC = 0o2000000;
const IPPROTO_TCP = 6, TCP_INFO = 11, MSG_WAITALL = 0x100;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** `struct tcp_info` of include/uapi/linux/tcp.h, as TCP_INFO fills it: times in microseconds, unscaled. */
export interface TcpInfo {
  readonly rtt_us: number;
  readonly rttvar_us: number;
  readonly snd_cwnd: number;
  readonly total_retrans: number;
  readonly bytes_received: number;
  readonly segs_out: number;
  readonly segs_in: number;
  readonly min_rtt_us: number;
  readonly bytes_sent: number;
  readonly bytes_retrans: number;
  readonly busy_us: number;
  readonly rwnd_limited_us: number;
  readonly sndbuf_limited_us: number;
  readonly reord_seen: number;
}

/** How the two sockets speak: an IPv6 socket may connect to a mapped IPv4 address. */
export type PairKind = "ipv4" | "ipv6" | "mapped";

/** One end of the conversation. */
export interface PairEnd {
  readonly fd: number;
  readonly port: number;
}

/** Two connected sockets on the loopback interface. */
export class TcpPair implements Disposable {
  readonly client: PairEnd;
  readonly server: PairEnd;

  /** @throws {LibcError} If the address family is not there, or a call fails. */
  constructor(kind: PairKind) {
    const family = kind === "ipv4" ? AF_INET : AF_INET6;
    // A mapped peer is accepted by an IPv6 socket that is bound to every address.
    const listener = must("open a TCP socket", libc().socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const clientFd = must("open a TCP socket", libc().socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    try {
      const any = socketAddress(kind, kind === "mapped", 0);
      must("bind", libc().bind(listener, any, any.length));
      must("listen", libc().listen(listener, 1));
      const peer = socketAddress(kind, false, localPort(listener));
      must("connect", libc().connect(clientFd, peer, peer.length));
      this.client = describe(clientFd);
      this.server = describe(must("accept", libc().accept4(listener, null, null, SOCK_CLOEXEC)));
    } finally {
      libc().close(listener);
    }
  }

  /** Sends `bytes` from one end, and reads all of them at the other. */
  transfer(from: PairEnd, to: PairEnd, bytes: number): void {
    const data = new Uint8Array(bytes);
    if (Number(libc().send(from.fd, data, BigInt(bytes), 0)) !== bytes) throw new LibcError(`send ${bytes} bytes`, 0);
    if (Number(libc().recv(to.fd, data, BigInt(bytes), MSG_WAITALL)) !== bytes) throw new LibcError(`receive ${bytes} bytes`, 0);
  }

  /** The kernel's account of one end. */
  info(end: PairEnd): TcpInfo {
    const bytes = option(end.fd, IPPROTO_TCP, TCP_INFO, 232);
    const view = new DataView(bytes.buffer);
    const u64 = (offset: number) => Number(view.getBigUint64(offset, true));
    return {
      rtt_us: view.getUint32(68, true),
      rttvar_us: view.getUint32(72, true),
      snd_cwnd: view.getUint32(80, true),
      total_retrans: view.getUint32(100, true),
      bytes_received: u64(128),
      segs_out: view.getUint32(136, true),
      segs_in: view.getUint32(140, true),
      min_rtt_us: view.getUint32(148, true),
      bytes_sent: u64(200),
      bytes_retrans: u64(208),
      busy_us: u64(168),
      rwnd_limited_us: u64(176),
      sndbuf_limited_us: u64(184),
      reord_seen: view.getUint32(220, true),
    };
  }

  [Symbol.dispose](): void {
    libc().close(this.client.fd);
    libc().close(this.server.fd);
  }
}

function must(action: string, result: number): number {
  if (result < 0) throw new LibcError(`${action} for the self-test`, 0);
  return result;
}

function describe(fd: number): PairEnd {
  return { fd, port: localPort(fd) };
}

function localPort(fd: number): number {
  const address = new Uint8Array(28);
  must("name a socket", libc().getsockname(fd, address, new Uint32Array([address.length])));
  return new DataView(address.buffer).getUint16(2);
}

function option(fd: number, level: number, name: number, bytes: number): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(bytes);
  must(`read socket option ${name}`, libc().getsockopt(fd, level, name, value, new Uint32Array([bytes])));
  return value;
}

function socketAddress(kind: PairKind, any: boolean, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(kind === "ipv4" ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, kind === "ipv4" ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  if (any) return bytes;
  if (kind === "ipv4") bytes.set([127, 0, 0, 1], 4);
  else if (kind === "mapped") bytes.set([0xff, 0xff, 127, 0, 0, 1], 18);
  else bytes[23] = 1;
  return bytes;
}
