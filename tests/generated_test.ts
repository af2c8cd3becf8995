/** Every generated file is what its generator makes today. */

import assert from "node:assert/strict";
import { CLANG_MAJOR, compileObject, generateLayouts, LAYOUT_FILES, OBJECTS } from "../tools/build_bpf.ts";
import { KERNEL_FAMILIES } from "../bpf/kernels/families.gen.ts";
import { compileForKernel } from "../tools/kernel_types.ts";
import { GENERATED } from "../tools/generate.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";
import { PROJECT, readSource } from "./sources.ts";

for (const { path, make } of GENERATED) {
  Deno.test(`${path} is fresh; else run deno task gen`, async () => {
    // A comparison alone: the difference of two bundles is no message.
    assert.ok(await readSource(path) === await make(), `${path} differs from what its generator makes`);
  });
}

for (const file of LAYOUT_FILES) {
  Deno.test(`${file.path} is fresh; else run deno task bpf`, async () => {
    const object = await Deno.readFile(new URL(`bpf/${file.object}.bpf.o`, PROJECT));
    assert.equal(await readSource(file.path), generateLayouts(file, object));
  });
}

for (const name of OBJECTS) {
  testWith(await missingCommand(`clang-${CLANG_MAJOR}`, "--version"), `bpf/${name}.bpf.o is fresh; else run deno task bpf`, async () => {
    assert.deepEqual(await Deno.readFile(new URL(`bpf/${name}.bpf.o`, PROJECT)), await compileObject(name));
  });
}

const missingCompiler = firstMissing(await missingCommand(`clang-${CLANG_MAJOR}`, "--version"), await missingCommand("bpftool", "version"));
for (const family of Object.keys(KERNEL_FAMILIES)) {
  testWith(missingCompiler, `bpf/kernels/${family}.bpf.o is fresh; else run deno task kernels build`, async () => {
    const btf = await Deno.readFile(new URL(`bpf/kernels/${family}.btf`, PROJECT));
    assert.deepEqual(await Deno.readFile(new URL(`bpf/kernels/${family}.bpf.o`, PROJECT)), await compileForKernel(btf));
  });
}
