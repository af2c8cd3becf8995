/** The reader of skyfall.x. */

import assert from "node:assert/strict";
import { parseXdr } from "./xdr.ts";

const STRUCT = (body: string) => `/* opaque = flow_data; enterprise = 1; format = 2 */\nstruct a {\n${body}\n};\n`;

Deno.test("parseXdr() computes offsets up to the first string", () => {
  const [struct] = parseXdr(STRUCT("  unsigned int a;\n  unsigned hyper b; /* why */\n  opaque c[16];\n  string d<5>;\n  unsigned int e;"));
  assert.deepEqual(struct!.fields.map(({ name, type, offset, size }) => [name, type, offset, size]), [
    ["a", "u32", 0, 4],
    ["b", "u64", 4, 8],
    ["c", "opaque16", 12, 16],
    ["d", "string", 28, 5],
    ["e", "u32", null, 4],
  ]);
  assert.equal(struct!.fields[1]!.comment, "why");
});

Deno.test("parseXdr() names the line that is no field", () => {
  assert.throws(() => parseXdr(STRUCT("  float a;")), { name: "SyntaxError", message: /"float a;" in struct "a"/ });
});

Deno.test("parseXdr() refuses a structure without its data format", () => {
  assert.throws(() => parseXdr("struct a {\n  unsigned int b;\n};\n"), {
    name: "SyntaxError",
    message: /0 structures with a data format, needed all 1/,
  });
});
