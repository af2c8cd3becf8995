/** A dictionary page of byte arrays (PLAIN). */

/** Each entry preceded by its length. */
export function dictionaryOf(entries: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(entries.reduce((sum, { length }) => sum + 4 + length, 0)), view = new DataView(out.buffer);
  let at = 0;
  for (const entry of entries) {
    view.setUint32(at, entry.length, true);
    out.set(entry, at + 4);
    at += 4 + entry.length;
  }
  return out;
}
