/** Reads 64-bit unsigned integers as numbers, without an allocation. */

/**
 * Little-endian value at `offset`. Exact below 2^53 (9 PB, or 104 days in nanoseconds), beyond that rounded to the
 * nearest double, which costs a clock of nanoseconds 1 ns after 104 days and 2 ns after 208.
 */
export function getUint64Le(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 4_294_967_296 + view.getUint32(offset, true);
}

/** As `getUint64Le()`, of a value big-endian, as XDR has it. */
export function getUint64Be(view: DataView, offset: number): number {
  return view.getUint32(offset) * 4_294_967_296 + view.getUint32(offset + 4);
}

/**
 * Writes `value` big-endian, as XDR has it.
 *
 * @throws {RangeError} If it is no integer of 0 to 2^53 - 1.
 */
export function setUint64Be(view: DataView, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`Cannot write 64-bit integer: ${value}, needed 0 to 2^53 - 1`);
  view.setUint32(offset, Math.floor(value / 4_294_967_296));
  view.setUint32(offset + 4, value >>> 0);
}
