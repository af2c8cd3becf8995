/** Reads what an iterator program writes, record by record. */

import type { BpfObject } from "../ffi/libbpf.ts";

/** Runs an iterator once; `onRecord` may read `view` at `at` during the call only. */
export function walkRecords(
  object: BpfObject,
  program: string,
  recordBytes: number,
  onRecord: (view: DataView, at: number) => void,
): void {
  let rest = new Uint8Array(0);
  object.iterate(program, (piece) => {
    const bytes = rest.length === 0 ? piece : Uint8Array.from([...rest, ...piece]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = bytes.length - bytes.length % recordBytes;
    for (let at = 0; at < whole; at += recordBytes) onRecord(view, at);
    rest = bytes.slice(whole);
  });
  if (rest.length > 0) {
    throw new TypeError(`Cannot read iterator "${program}": ${rest.length} bytes are left over, records have ${recordBytes}`);
  }
}
