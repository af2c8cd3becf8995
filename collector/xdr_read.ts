/** Reads structures of lib/sflow/skyfall.x field by field, in the order of the file (RFC 4506). */

interface FieldLayout {
  readonly type: "u32" | "u64" | "opaque16" | "string";
  readonly size: number;
}

/** Values by field name, of the type that the layout says. */
export type XdrValues<F extends Readonly<Record<string, FieldLayout>>> = {
  readonly [N in keyof F]: F[N]["type"] extends "string" ? string : F[N]["type"] extends "opaque16" ? Uint8Array : number;
};

const decoder = new TextDecoder();

/**
 * Reads one structure of `bytes` bytes at `at`. Bytes that are no UTF-8 become U+FFFD; bytes behind the last field are
 * left unread, as a longer structure would be.
 *
 * @returns Null where the structure is cut, a string is longer than its bound, or a number is above 2^53 - 1.
 */
export function readXdrStruct<F extends Readonly<Record<string, FieldLayout>>>(
  fields: F,
  view: DataView,
  at: number,
  bytes: number,
): XdrValues<F> | null {
  const end = at + bytes;
  const values: Record<string, string | number | Uint8Array> = {};
  let next = at;
  for (const [name, { type, size }] of Object.entries(fields)) {
    const fixed = type === "string" ? 4 : size;
    if (fixed > end - next) return null;
    if (type === "string") {
      const length = view.getUint32(next);
      if (length > size || length > end - next - 4) return null;
      values[name] = decoder.decode(new Uint8Array(view.buffer, view.byteOffset + next + 4, length));
      next = Math.min(end, next + 4 + ((length + 3) & ~3));
      continue;
    }
    const value = type === "opaque16" ? new Uint8Array(view.buffer, view.byteOffset + next, size).slice() : readNumber(view, next, type);
    if (typeof value === "number" && !Number.isSafeInteger(value)) return null;
    values[name] = value;
    next += size;
  }
  return values as XdrValues<F>;
}

function readNumber(view: DataView, at: number, type: "u32" | "u64"): number {
  return type === "u32" ? view.getUint32(at) : view.getUint32(at) * 4_294_967_296 + view.getUint32(at + 4);
}
