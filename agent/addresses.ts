/** Addresses of 16 bytes, compared. */

import { isMappedIpv4 } from "../lib/ip_address.ts";

/** `::` or `0.0.0.0`, the latter mapped. */
export function isUnspecified(address: Uint8Array): boolean {
  return (isMappedIpv4(address) ? address.subarray(12) : address).every((byte) => byte === 0);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
