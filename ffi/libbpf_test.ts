/** What the kernel refuses, and how that is said. */

import assert from "node:assert/strict";
import { firstMissing, missingCommand, missingKernel, testWith } from "../tests/require.ts";
import { BpfObject, LibbpfError } from "./libbpf.ts";
import { refusedMap } from "./libbpf_error.ts";

/** A map that is larger than the memory of any host that runs tests. */
const HUGE = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1 << 18); __type(key, long); __type(value, char[(1 << 20) - 8]); } huge SEC(".maps");
char LICENSE[] SEC("license") = "GPL";
`;

testWith(
  firstMissing(await missingKernel(), await missingCommand("clang-14", "--version")),
  "BpfObject.load() names the map that there is no memory for, its size, and what to raise",
  async () => {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/huge.c`, HUGE);
    const include = `/usr/include/${Deno.build.arch}-linux-gnu`;
    const args = ["-g", "-O2", "-target", "bpf", "-idirafter", include, "-c", `${folder}/huge.c`, "-o", `${folder}/huge.o`];
    assert.ok((await new Deno.Command("clang-14", { args, stderr: "inherit" }).output()).success);
    const elf = await Deno.readFile(`${folder}/huge.o`);
    assert.throws(() => BpfObject.load(elf), {
      name: "LibbpfError",
      message: `Cannot make BPF map "huge" of ${2 ** 38} bytes: errno 12 (no memory: raise the limit of the control group, ` +
        "memory.max or MemoryMax= of the unit, or free some of the host's)",
    });
  },
);

Deno.test("LibbpfError says what a map needs before Linux 5.11, where it is not permitted", () => {
  const lines = ["libbpf: map 'events': failed to create: Operation not permitted(-1)", "libbpf: failed to load object"];
  assert.equal(refusedMap(lines), "events");
  assert.match(new LibbpfError('make BPF map "events" of 8 bytes', 1, lines.join("\n")).message, /raise RLIMIT_MEMLOCK/);
  assert.doesNotMatch(new LibbpfError("load the BPF programs", 1, "").message, /RLIMIT_MEMLOCK/);
});
