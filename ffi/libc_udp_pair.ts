/** UDP datagrams of known bytes between two sockets of this process: a connected client, and a server that is not. */

import { LibcError } from "./libc.ts";
import { describeEnd, must, type PairEnd, type PairKind, socketAddress } from "./libc_tcp_pair.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t send(int sockfd, const void *buf, size_t len, int flags)
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags)
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  // ssize_t sendto(int sockfd, const void *buf, size_t len, int flags, const struct sockaddr *dest_addr, socklen_t addrlen)
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  // ssize_t recvfrom(int sockfd, void *buf, size_t len, int flags, struct sockaddr *src_addr, socklen_t *addrlen)
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const;

const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000, MSG_PEEK = 2;
/** The largest that UDP over IPv4 carries. */
const DATAGRAM_BYTES_MAX = 65_507;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** Two sockets on the loopback interface; the server answers whoever asks from one socket. */
export class UdpPair implements Disposable {
  readonly client: PairEnd;
  readonly server: PairEnd;
  readonly #buffer = new Uint8Array(DATAGRAM_BYTES_MAX);

  /** @throws {LibcError} If the address family is not there, or a call fails. */
  constructor(kind: PairKind) {
    const family = kind === "ipv4" ? AF_INET : AF_INET6;
    const serverFd = must("open a UDP socket", libc().socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const clientFd = must("open a UDP socket", libc().socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const any = socketAddress(kind, true, 0);
    must("bind", libc().bind(serverFd, any, any.length));
    this.server = describeEnd(serverFd);
    const peer = socketAddress(kind, false, this.server.port);
    must("connect", libc().connect(clientFd, peer, peer.length));
    this.client = describeEnd(clientFd);
  }

  /** One datagram each way. The server looks at the first before it takes it, which is not to be counted. */
  ask(bytes: number, replyBytes: number): void {
    const from = new Uint8Array(28), fromBytes = new Uint32Array([from.length]);
    expectBytes("send", bytes, libc().send(this.client.fd, this.#buffer, BigInt(bytes), 0));
    expectBytes("look at", bytes, libc().recv(this.server.fd, this.#buffer, BigInt(DATAGRAM_BYTES_MAX), MSG_PEEK));
    expectBytes("receive", bytes, libc().recvfrom(this.server.fd, this.#buffer, BigInt(DATAGRAM_BYTES_MAX), 0, from, fromBytes));
    expectBytes("answer with", replyBytes, libc().sendto(this.server.fd, this.#buffer, BigInt(replyBytes), 0, from, fromBytes[0]!));
    expectBytes("receive", replyBytes, libc().recv(this.client.fd, this.#buffer, BigInt(DATAGRAM_BYTES_MAX), 0));
  }

  [Symbol.dispose](): void {
    libc().close(this.client.fd);
    libc().close(this.server.fd);
  }
}

function expectBytes(action: string, needed: number, result: bigint): void {
  if (Number(result) !== needed) throw new LibcError(`${action} ${needed} bytes for the self-test`, 0);
}
