/** Which rights the agent keeps. */

import assert from "node:assert/strict";
import { neededCapabilities } from "./manners.ts";

Deno.test("neededCapabilities() keeps CAP_BPF where every bpf(2) call needs it", () => {
  const all = ["CAP_SYS_PTRACE", "CAP_PERFMON", "CAP_BPF"];
  assert.deepEqual(neededCapabilities("5.10.0-28-amd64\n"), all);
  assert.deepEqual(neededCapabilities("5.18.2"), all);
  assert.deepEqual(neededCapabilities("unheard of"), all);
  assert.deepEqual(neededCapabilities("5.19-rc1"), ["CAP_SYS_PTRACE"]);
  assert.deepEqual(neededCapabilities("6.1.0-18-amd64\n"), ["CAP_SYS_PTRACE"]);
  assert.deepEqual(neededCapabilities("10.0.1"), ["CAP_SYS_PTRACE"]);
});
