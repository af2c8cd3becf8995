/** A dictionary page of byte arrays: each preceded by its length (PLAIN). */

/** @param numbers Of the entries, in their order. */
export function dictionaryOf(numbers: readonly number[], bytesOf: (number: number) => Uint8Array): Uint8Array {
  const entries = numbers.map(bytesOf);
  const out = new Uint8Array(entries.reduce((sum, { length }) => sum + 4 + length, 0)), view = new DataView(out.buffer);
  let at = 0;
  for (const entry of entries) {
    view.setUint32(at, entry.length, true);
    out.set(entry, at + 4);
    at += 4 + entry.length;
  }
  return out;
}
