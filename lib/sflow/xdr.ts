/** Reads the subset of XDR (RFC 4506) in which `skyfall.x` is written, and computes offsets of its structures. */

export type XdrType = "u32" | "u64" | "opaque16" | "string";

export interface XdrField {
  readonly name: string;
  readonly type: XdrType;
  /** Bytes from the structure's start; null after the first string. */
  readonly offset: number | null;
  /** Most bytes of a string; the exact size of other types. */
  readonly size: number;
  readonly comment: string;
}

export interface XdrStruct {
  readonly name: string;
  readonly container: "flow_data" | "counter_data";
  readonly enterprise: number;
  readonly format: number;
  readonly fields: readonly XdrField[];
}

const SIZES: Record<Exclude<XdrType, "string">, number> = { u32: 4, u64: 8, opaque16: 16 };
const STRUCT = /opaque = (flow_data|counter_data); enterprise = (\d+); format = (\d+)\s*\*\/\s*struct (\w+) \{([^}]*)\};/g;
const FIELD =
  /^\s*(?:(unsigned int) (\w+)|(unsigned hyper) (\w+)|(opaque) (\w+)\[16\]|(string) (\w+)<(\d+)>);\s*(?:\/\*\s*(.*?)\s*\*\/)?\s*$/;

/**
 * Parses every structure of an XDR file.
 *
 * @throws {SyntaxError} If a structure lacks its data format comment, or a line is no field of a supported type.
 */
export function parseXdr(text: string): XdrStruct[] {
  const structs = [...text.matchAll(STRUCT)].map(([, container, enterprise, format, name, body]) => ({
    name: name!,
    container: container as XdrStruct["container"],
    enterprise: Number(enterprise),
    format: Number(format),
    fields: parseFields(name!, body!),
  }));
  const declared = text.match(/^struct /gm)?.length ?? 0;
  if (structs.length !== declared) {
    throw new SyntaxError(`Cannot parse XDR: ${structs.length} structures with a data format, needed all ${declared}`);
  }
  return structs;
}

function parseFields(struct: string, body: string): XdrField[] {
  let offset: number | null = 0;
  return body.trim().split("\n").map((line) => {
    const match = FIELD.exec(line);
    if (match === null) throw new SyntaxError(`Cannot parse XDR: "${line.trim()}" in struct "${struct}" is no supported field`);
    const [, int, intName, hyper, hyperName, , opaqueName, string, stringName, limit, comment] = match;
    const type: XdrType = int ? "u32" : hyper ? "u64" : string ? "string" : "opaque16";
    const name = intName ?? hyperName ?? opaqueName ?? stringName!;
    const field: XdrField = { name, type, offset, size: type === "string" ? Number(limit) : SIZES[type], comment: comment ?? "" };
    offset = type === "string" || offset === null ? null : offset + field.size;
    return field;
  });
}
