/** Writes `skyfall.gen.ts` from `skyfall.x`; run by `deno task gen`. */

import { parseXdr, type XdrStruct } from "./xdr.ts";

const HEADER = `// Do not edit; made by \`deno task gen\` from lib/sflow/skyfall.x.
`;

/** Source text of the layouts: per structure its format number, per field its offset, type and size. */
export function generateSkyfallLayouts(xdr: string): string {
  return HEADER + parseXdr(xdr).map(structSource).join("");
}

function structSource(struct: XdrStruct): string {
  const name = struct.name.toUpperCase();
  const fixedSize = struct.fields.some((f) => f.type === "string") ? null : struct.fields.reduce((size, field) => size + field.size, 0);
  const fields = struct.fields.map((f) => `    ${f.name}: { type: "${f.type}", offset: ${f.offset}, size: ${f.size} },\n`);
  return `
export const ${name} = {
  container: "${struct.container}",
  enterprise: ${struct.enterprise},
  format: ${struct.format},
  fixedSize: ${fixedSize},
  fields: {
${fields.join("")}  },
} as const;
`;
}
