/** Host names by the C library's own rules: /etc/hosts, DNS and what else nsswitch.conf(5) names (getaddrinfo(3)). */

import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
  getaddrinfo: { parameters: ["buffer", "pointer", "buffer", "buffer"], result: "i32", nonblocking: true },
  // void freeaddrinfo(struct addrinfo *res)
  freeaddrinfo: { parameters: ["pointer"], result: "void" },
  // const char *gai_strerror(int errcode)
  gai_strerror: { parameters: ["i32"], result: "pointer" },
} as const;

/** `struct addrinfo`: flags, family, socktype, protocol, addrlen, address, name, next. */
const ADDRINFO_BYTES = 48, FAMILY = 4, SOCKTYPE = 8, ADDRESS = 24;
const AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  return library.symbols;
}

/** A name that cannot be resolved; the message says why in the C library's words. */
export class ResolveError extends Error {
  override readonly name = "ResolveError";
}

/**
 * The address that the host prefers for a name, or for the text of an address: 16 bytes, IPv4 mapped. Waits on a thread of
 * its own.
 *
 * @throws {ResolveError} If there is none.
 */
export async function resolveHost(name: string): Promise<Uint8Array> {
  const hints = new Uint8Array(ADDRINFO_BYTES), result = new BigUint64Array(1);
  new DataView(hints.buffer).setInt32(SOCKTYPE, SOCK_DGRAM, true);
  const code = await libc().getaddrinfo(new TextEncoder().encode(name + "\0"), null, hints, result);
  const info = Deno.UnsafePointer.create(result[0]!);
  if (code !== 0 || info === null) throw new ResolveError(`Cannot resolve "${name}": ${explain(code)}`);
  const address = readSocketAddress(info);
  libc().freeaddrinfo(info);
  if (address === null) throw new ResolveError(`Cannot resolve "${name}": it is neither IPv4 nor IPv6`);
  return address;
}

function readSocketAddress(info: Deno.PointerObject): Uint8Array | null {
  const view = new Deno.UnsafePointerView(info);
  const family = view.getInt32(FAMILY);
  const pointer = view.getPointer(ADDRESS);
  if (pointer === null) return null;
  const socketAddress = new Deno.UnsafePointerView(pointer);
  const address = new Uint8Array(16);
  if (family === AF_INET) {
    address.set([0xff, 0xff], 10);
    socketAddress.copyInto(address.subarray(12), 4);
    return address;
  }
  if (family !== AF_INET6) return null;
  socketAddress.copyInto(address, 8);
  return address;
}

function explain(code: number): string {
  const text = libc().gai_strerror(code);
  return text === null ? `error ${code}` : new Deno.UnsafePointerView(text).getCString();
}
