/** Reads structure layouts and enumerations from the `.BTF` section of an ELF object (kernel: Documentation/bpf/btf.rst). */

export interface BtfField {
  readonly name: string;
  /** Bytes from the structure's start. */
  readonly offset: number;
  /** Bytes of the whole field, arrays included. */
  readonly size: number;
}

export interface BtfStruct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly BtfField[];
}

export interface BtfEnum {
  readonly name: string;
  readonly values: ReadonlyMap<string, number>;
}

/** The types of an object by name; a name that is absent is undefined. */
export interface BtfTypes {
  readonly structs: ReadonlyMap<string, BtfStruct>;
  readonly enums: ReadonlyMap<string, BtfEnum>;
}

interface RawType {
  readonly name: string;
  readonly kind: number;
  readonly vlen: number;
  /** Bytes of a sized type, else the id of the type referred to. */
  readonly sizeOrType: number;
  /** Offset of what follows the common header. */
  readonly body: number;
}

const ELF_MAGIC = 0x7f454c46;
const BTF_MAGIC = 0xeb9f;
const SECTION_HEADER_BYTES = 64;

/** `enum BTF_KIND_*` of include/uapi/linux/btf.h. */
const KIND = {
  int: 1,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  funcProto: 13,
  var: 14,
  datasec: 15,
  float: 16,
  declTag: 17,
  enum64: 19,
} as const;

/** Bytes after the common header, by kind, with `vlen` members. */
function bodyBytes(kind: number, vlen: number): number {
  switch (kind) {
    case KIND.int:
    case KIND.var:
    case KIND.declTag:
      return 4;
    case KIND.array:
      return 12;
    case KIND.struct:
    case KIND.union:
    case KIND.datasec:
    case KIND.enum64:
      return vlen * 12;
    case KIND.enum:
    case KIND.funcProto:
      return vlen * 8;
    default:
      return 0;
  }
}

/**
 * Reads the types of a little-endian 64-bit ELF object.
 *
 * @throws {SyntaxError} If the bytes are no such object, or it has no well-formed `.BTF` section.
 */
export function readBtf(elf: Uint8Array): BtfTypes {
  const section = findSection(elf, ".BTF");
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  if (view.byteLength < 24 || view.getUint16(0, true) !== BTF_MAGIC) {
    throw new SyntaxError('Cannot read BTF: section ".BTF" has no BTF header');
  }
  const headerBytes = view.getUint32(4, true);
  const typesStart = headerBytes + view.getUint32(8, true);
  const typesEnd = typesStart + view.getUint32(12, true);
  const stringsStart = headerBytes + view.getUint32(16, true);
  if (typesEnd > view.byteLength || stringsStart > view.byteLength) {
    throw new SyntaxError("Cannot read BTF: header points beyond the section");
  }

  const text = (offset: number) => cString(section, stringsStart + offset);
  const types: RawType[] = [{ name: "void", kind: 0, vlen: 0, sizeOrType: 0, body: 0 }];
  for (let at = typesStart; at < typesEnd;) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f, vlen = info & 0xffff;
    types.push({ name: text(view.getUint32(at, true)), kind, vlen, sizeOrType: view.getUint32(at + 8, true), body: at + 12 });
    at += 12 + bodyBytes(kind, vlen);
  }
  return {
    structs: new Map(types.filter((t) => t.kind === KIND.struct && t.name !== "").map((t) => [t.name, structOf(t, types, view, text)])),
    enums: new Map(types.filter((t) => t.kind === KIND.enum && t.name !== "").map((t) => [t.name, enumOf(t, view, text)])),
  };
}

function structOf(type: RawType, types: readonly RawType[], view: DataView, text: (offset: number) => string): BtfStruct {
  const fields = Array.from({ length: type.vlen }, (_, i) => {
    const at = type.body + i * 12;
    return {
      name: text(view.getUint32(at, true)),
      offset: (view.getUint32(at + 8, true) & 0xffffff) / 8,
      size: sizeOf(view.getUint32(at + 4, true), types, view),
    };
  });
  return { name: type.name, size: type.sizeOrType, fields };
}

function enumOf(type: RawType, view: DataView, text: (offset: number) => string): BtfEnum {
  const values = Array.from({ length: type.vlen }, (_, i): [string, number] => {
    const at = type.body + i * 8;
    return [text(view.getUint32(at, true)), view.getInt32(at + 4, true)];
  });
  return { name: type.name, values: new Map(values) };
}

function sizeOf(id: number, types: readonly RawType[], view: DataView): number {
  const type = types[id];
  if (type === undefined) throw new SyntaxError(`Cannot read BTF: type ${id} of ${types.length}`);
  switch (type.kind) {
    case KIND.int:
    case KIND.struct:
    case KIND.union:
    case KIND.enum:
    case KIND.float:
    case KIND.enum64:
      return type.sizeOrType;
    case KIND.array:
      return sizeOf(view.getUint32(type.body, true), types, view) * view.getUint32(type.body + 8, true);
    case 2: // pointer
      return 8;
    default: // typedef, const, volatile, restrict, type tag
      return sizeOf(type.sizeOrType, types, view);
  }
}

function findSection(elf: Uint8Array, name: string): Uint8Array {
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  if (view.byteLength < SECTION_HEADER_BYTES || view.getUint32(0) !== ELF_MAGIC || view.getUint8(4) !== 2 || view.getUint8(5) !== 1) {
    throw new SyntaxError(`Cannot read ELF: ${view.byteLength} bytes, needed a little-endian 64-bit object`);
  }
  const headers = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true), namesIndex = view.getUint16(62, true);
  if (headers + count * SECTION_HEADER_BYTES > view.byteLength || namesIndex >= count) {
    throw new SyntaxError("Cannot read ELF: section headers lie beyond the end");
  }
  const header = (index: number) => headers + index * SECTION_HEADER_BYTES;
  const namesStart = Number(view.getBigUint64(header(namesIndex) + 24, true));
  for (let i = 0; i < count; i++) {
    if (cString(elf, namesStart + view.getUint32(header(i), true)) !== name) continue;
    const start = Number(view.getBigUint64(header(i) + 24, true));
    const bytes = Number(view.getBigUint64(header(i) + 32, true));
    if (start + bytes > elf.length) throw new SyntaxError(`Cannot read ELF: section "${name}" lies beyond the end`);
    return elf.subarray(start, start + bytes);
  }
  throw new SyntaxError(`Cannot read ELF: section "${name}" is missing`);
}

function cString(bytes: Uint8Array, start: number): string {
  const end = bytes.indexOf(0, start);
  if (start > bytes.length || end < 0) throw new SyntaxError(`Cannot read ELF: string at ${start} is not ended`);
  return new TextDecoder().decode(bytes.subarray(start, end));
}
