/** Encodes structures of lib/sflow/skyfall.x field by field, in the order of the file (RFC 4506). */

import { setUint64Be } from "../u64.ts";

interface FieldLayout {
  readonly type: "u32" | "u64" | "opaque16" | "string";
  readonly size: number;
}

/** Values by field name, of the type that the layout says. */
export type XdrValues<F extends Readonly<Record<string, FieldLayout>>> = {
  readonly [N in keyof F]: F[N]["type"] extends "string" ? string : F[N]["type"] extends "opaque16" ? Uint8Array : number;
};

const encoder = new TextEncoder();

/** Bytes of one structure; strings longer than the layout's bound are cut before the character that crosses it. */
export function encodeStruct<F extends Readonly<Record<string, FieldLayout>>>(fields: F, values: XdrValues<F>): Uint8Array {
  const parts = Object.entries(fields).map(([name, field]) => encodeField(name, field, values[name]));
  const body = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

function encodeField(name: string, field: FieldLayout, value: unknown): Uint8Array {
  if (field.type === "string" && typeof value === "string") return encodeString(value, field.size);
  if (field.type === "opaque16" && value instanceof Uint8Array && value.length === 16) return value;
  if (typeof value === "number" && (field.type === "u32" || field.type === "u64")) {
    const bytes = new Uint8Array(field.size);
    const view = new DataView(bytes.buffer);
    if (field.type === "u64") setUint64Be(view, 0, value);
    else view.setUint32(0, value);
    return bytes;
  }
  throw new TypeError(`Cannot encode field "${name}": ${String(value)} is no ${field.type}`);
}

function encodeString(text: string, bytesMax: number): Uint8Array {
  const room = new Uint8Array(bytesMax);
  const { written } = encoder.encodeInto(text, room);
  const bytes = new Uint8Array(4 + ((written + 3) & ~3));
  new DataView(bytes.buffer).setUint32(0, written);
  bytes.set(room.subarray(0, written), 4);
  return bytes;
}
