/** OpenSSL's libcrypto: HMAC-SHA-256 (RFC 2104) of datagrams, some four times as fast as the runtime's own. */

import { MissingLibraryError, openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // const EVP_MD *EVP_sha256(void)
  EVP_sha256: { parameters: [], result: "pointer" },
  // unsigned char *HMAC(const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *data, size_t data_len, unsigned char *md, unsigned int *md_len)
  HMAC: { parameters: ["pointer", "buffer", "i32", "buffer", "usize", "buffer", "buffer"], result: "pointer" },
} as const;

const MAC_BYTES = 32;

/**
 * What makes the MACs of a key; the same array is filled each time. Null where the host has no libcrypto of OpenSSL 3.
 *
 * @throws {Error} If making one fails.
 */
export function openHmacSha256(): ((key: Uint8Array<ArrayBuffer>) => (bytes: Uint8Array<ArrayBuffer>) => Uint8Array) | null {
  const library = open();
  if (library === null) return null;
  const { symbols } = library, sha256 = symbols.EVP_sha256();
  return (key) => {
    const mac = new Uint8Array(new ArrayBuffer(MAC_BYTES)), macBytes = new Uint32Array(1);
    return (bytes) => {
      const made = symbols.HMAC(sha256, key, key.length, bytes, BigInt(bytes.length), mac, macBytes);
      if (made === null || macBytes[0] !== MAC_BYTES) throw new Error("Cannot make an HMAC-SHA-256: OpenSSL refuses");
      return mac;
    };
  };
}

function open(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  try {
    return openSystemLibrary("libcrypto.so.3", SYMBOLS, "signatures can be made without it, more slowly");
  } catch (error) {
    if (error instanceof MissingLibraryError) return null;
    throw error;
  }
}
