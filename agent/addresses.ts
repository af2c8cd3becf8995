/** Addresses of 16 bytes, compared. */

import { isMappedIpv4 } from "../lib/ip_address.ts";

/** `::` or `0.0.0.0`, the latter mapped. */
export function isUnspecified(address: Uint8Array): boolean {
  for (let i = 12; i < 16; i++) if (address[i] !== 0) return false;
  return isMappedIpv4(address) || isZero(address);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A short text for use as a key. */
export function addressKey(address: Uint8Array): string {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  return `${view.getUint32(0)} ${view.getUint32(4)} ${view.getUint32(8)} ${view.getUint32(12)}`;
}

function isZero(address: Uint8Array): boolean {
  for (const byte of address) if (byte !== 0) return false;
  return true;
}
