/** An object that lays its events out otherwise is refused. */

import assert from "node:assert/strict";
import { checkEventLayouts } from "./layout.ts";

const OBJECT = await Deno.readFile(new URL("../bpf/tp_btf.bpf.o", import.meta.url));

Deno.test("checkEventLayouts() accepts the object that the layouts were made from", () => {
  checkEventLayouts(OBJECT, true);
});

Deno.test("checkEventLayouts() names the field that is missing", () => {
  // The field's name stands once in the strings of the object's type information.
  const text = new TextDecoder("latin1").decode(OBJECT);
  const at = text.indexOf("\0period_start_ktime_ns\0") + 1;
  const other = OBJECT.slice();
  other.set(new TextEncoder().encode("xyz"), at);
  assert.throws(() => checkEventLayouts(other, true), { name: "TypeError", message: /period_start_ktime_ns/ });
});
