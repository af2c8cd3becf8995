/** The C library: which of this host's addresses the kernel speaks from to a given peer (connect(2) on UDP, no packet). */

import { LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int socket(int domain, int type, int protocol)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
} as const;

const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, SOCK_CLOEXEC = 0o2000000;
/** Any will do: nothing is sent. */
const DISCARD_PORT = 9;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/**
 * Source address towards a peer, by the routes of this process's network namespace; both 16 bytes, IPv4 mapped.
 *
 * @returns Null where there is no route, or the address needs an interface (link-local IPv6).
 */
export function sourceAddressTowards(peer: Uint8Array, isIpv4: boolean): Uint8Array | null {
  const fd = libc().socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new LibcError("open a UDP socket to ask for a route", 0);
  try {
    const address = new Uint8Array(isIpv4 ? 16 : 28);
    const view = new DataView(address.buffer);
    view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
    view.setUint16(2, DISCARD_PORT);
    address.set(isIpv4 ? peer.subarray(12) : peer, isIpv4 ? 4 : 8);
    if (libc().connect(fd, address, address.length) !== 0) return null;
    const local = new Uint8Array(28);
    if (libc().getsockname(fd, local, new Uint32Array([local.length])) !== 0) return null;
    return isIpv4 ? Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...local.subarray(4, 8)]) : local.slice(8, 24);
  } finally {
    libc().close(fd);
  }
}
