/** Addresses of 16 bytes: compared, and copied out of what the kernel handed over. */

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

/** Addresses share buffers: one of its own would cost each many times its 16 bytes. */
const ADDRESS_BYTES = 16, SHARED_BYTES = 65_536;
let shared = new DataView(new ArrayBuffer(SHARED_BYTES)), sharedUsed = 0;

/** Copies 16 bytes out of a view that will not last. */
export function copyAddress(view: DataView, at: number): Uint8Array {
  if (sharedUsed === SHARED_BYTES) {
    shared = new DataView(new ArrayBuffer(SHARED_BYTES));
    sharedUsed = 0;
  }
  for (let i = 0; i < ADDRESS_BYTES; i += 4) shared.setUint32(sharedUsed + i, view.getUint32(at + i));
  const address = new Uint8Array(shared.buffer, sharedUsed, ADDRESS_BYTES);
  sharedUsed += ADDRESS_BYTES;
  return address;
}
