/** Reads what an iterator program writes, record by record. */

/** Where each record of an iterator begins; its pieces end anywhere. The view is valid until the next record is asked for. */
export function* walkRecords(
  pieces: Iterable<Uint8Array>,
  recordBytes: number,
): Generator<{ readonly view: DataView; readonly at: number }> {
  let rest = new Uint8Array(0);
  for (const piece of pieces) {
    const bytes = rest.length === 0 ? piece : Uint8Array.from([...rest, ...piece]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = bytes.length - bytes.length % recordBytes;
    for (let at = 0; at < whole; at += recordBytes) yield { view, at };
    rest = bytes.slice(whole);
  }
  if (rest.length > 0) throw new TypeError(`Cannot read iterator: ${rest.length} bytes are left over, records have ${recordBytes}`);
}
