/** Type information of the kernel programs' object. */

import assert from "node:assert/strict";
import { readBtf } from "./btf.ts";

const OBJECT = await Deno.readFile(new URL("../bpf/tp_btf.bpf.o", import.meta.url));

Deno.test("readBtf() gives offsets and sizes of a structure's fields, arrays included", () => {
  const event = readBtf(OBJECT).structs.get("tcp_event")!;
  assert.deepEqual(event.fields.find(({ name }) => name === "remote_address"), { name: "remote_address", offset: 80, size: 16 });
  assert.equal(event.fields.reduce((bytes, { size }) => bytes + size, 0), event.size); // no hidden padding
});

Deno.test("readBtf() gives the values of an enumeration", () => {
  assert.equal(readBtf(OBJECT).enums.get("event_kind")!.values.get("EVENT_PROCESS"), 6);
});

Deno.test("readBtf() refuses what is no object, and objects that are cut, with a SyntaxError", () => {
  for (const length of [0, 10, 64, 1_000, OBJECT.length - 1]) {
    assert.throws(() => readBtf(OBJECT.slice(0, length)), SyntaxError, `cut at ${length}`);
  }
  assert.throws(() => readBtf(new Uint8Array(1_000)), SyntaxError);
});
