/** Who a process is, and what service it belongs to. */

import assert from "node:assert/strict";
import { SKYFALL_PROCESS } from "../lib/sflow/skyfall.gen.ts";
import { ATTRIBUTION, type ProcessEvent } from "./event.ts";
import { parseStat } from "./proc_files.ts";
import { ProcessTable, SERVICE_SOURCE } from "./processes.ts";
import { encodeStruct } from "../lib/sflow/xdr_encode.ts";

const GONE: ProcessEvent = {
  pid: 0x7fff_0001,
  process_start_ns: 1,
  exec_id: 1,
  cgroup_id: 1,
  user_id: 0,
  network_namespace: 1,
  comm: "node",
  cgroup_path: "",
  executable_name: "node",
  command_line: "node /srv/shop/server.js --port 80",
};
const SELF: ProcessEvent = {
  ...GONE,
  pid: Deno.pid,
  process_start_ns: parseStat(await Deno.readTextFile("/proc/self/stat"))!.startTicks * 1e7,
};

Deno.test("ProcessTable keeps a process that is gone, as it described itself", () => {
  const table = new ProcessTable([]);
  table.add(GONE);
  const { executable_name, command_line, executable_path, service_name, service_source } = table.find(GONE)!;
  assert.deepEqual({ executable_name, command_line, executable_path, service_name, service_source }, {
    executable_name: "node",
    command_line: GONE.command_line,
    executable_path: "",
    service_name: "node",
    service_source: SERVICE_SOURCE.executable,
  });
});

Deno.test("ProcessTable prefers the first rule that matches the command line", () => {
  const table = new ProcessTable([
    { command_line: /never/, service_name: "no" },
    { command_line: /shop\/server/, service_name: "shop" },
    { command_line: /node/, service_name: "later" },
  ]);
  table.add(GONE);
  const process = table.find(GONE)!;
  assert.deepEqual([process.service_name, process.service_source], ["shop", SERVICE_SOURCE.rule]);
});

Deno.test("ProcessTable says whether a process that describes itself has done so", () => {
  const table = new ProcessTable([]);
  assert.equal(table.isDescribed({ ...GONE, attribution: ATTRIBUTION.ATTRIBUTION_CONNECT }), false);
  assert.equal(table.isDescribed({ ...GONE, attribution: ATTRIBUTION.ATTRIBUTION_TASK_FILE }), true); // it never does
  assert.equal(table.isDescribed({ ...GONE, pid: 0, attribution: ATTRIBUTION.ATTRIBUTION_UNKNOWN }), true); // there is none
  table.add(GONE);
  assert.equal(table.isDescribed({ ...GONE, attribution: ATTRIBUTION.ATTRIBUTION_CONNECT }), true);
});

Deno.test("ProcessTable takes another program under the same pid for another process", () => {
  const table = new ProcessTable([]);
  table.add(GONE);
  assert.equal(table.find({ ...GONE, exec_id: 2 }), null);
  assert.equal(table.find({ ...GONE, process_start_ns: 2 }), null);
});

Deno.test("ProcessTable reads a process that never described itself from /proc", () => {
  const process = new ProcessTable([]).find({ ...SELF })!;
  assert.equal(process.executable_path, Deno.execPath());
  assert.match(process.command_line, /test/);
});

Deno.test("ProcessTable takes nothing from /proc of another process that has got the pid", () => {
  const table = new ProcessTable([]);
  const earlier = { ...GONE, pid: Deno.pid, process_start_ns: SELF.process_start_ns - 1e9 };
  assert.equal(table.find({ ...earlier }), null);
  table.add(earlier);
  const { executable_path, cgroup_path } = table.find({ ...earlier })!;
  assert.deepEqual([executable_path, cgroup_path], ["", ""]);
});

Deno.test("ProcessTable takes no path from /proc of a program that the process ran later", () => {
  const table = new ProcessTable([]);
  table.add({ ...SELF, executable_name: Deno.execPath().split("/").at(-1)!, command_line: "deno of another command line" });
  assert.equal(table.find({ ...SELF })!.executable_path, "");
});

Deno.test("ProcessTable fills in from /proc what the kernel could not read of a process that lives", () => {
  const table = new ProcessTable([]);
  table.add({ ...SELF, executable_name: Deno.execPath().split("/").at(-1)!, command_line: "" });
  assert.match(table.find({ ...SELF })!.command_line, /test/);
});

Deno.test("ProcessTable keeps what it knows when a process describes itself at its exit, without names", () => {
  const table = new ProcessTable([]);
  table.add(GONE);
  table.add({ ...GONE, executable_name: "", command_line: "" });
  assert.equal(table.find({ ...GONE })!.command_line, GONE.command_line);
});

Deno.test("ProcessTable blots out secrets before it keeps a command line, and rules see what is left", () => {
  const table = new ProcessTable([{ command_line: /hunter2|1234/, service_name: "leak" }], [/(?<=--pin )\d+/g]);
  table.add({ ...GONE, command_line: "app\0--password\0hunter2\0--pin\x001234" });
  const { command_line, service_name } = table.find(GONE)!;
  assert.deepEqual([command_line, service_name], ["app --password *** --pin ***", "node"]);
});

Deno.test("ProcessTable.configure() puts rules and expressions into force for processes that it knows", () => {
  const table = new ProcessTable([]);
  table.add(GONE);
  table.configure([{ command_line: /shop/, service_name: "shop" }], [/(?<=--port )\d+/g]);
  const { command_line, service_name } = table.find(GONE)!;
  assert.deepEqual([command_line, service_name], ["node /srv/shop/server.js --port ***", "shop"]);
});

Deno.test("a process with hostile names makes one whole datagram, without a control character", () => {
  const hostile = '\x1b[2J\r\n\0\ufffd\u202e\u2028"\\{}' + "\x07x".repeat(500_000);
  const table = new ProcessTable([]);
  table.add({ ...GONE, comm: hostile.slice(0, 16), executable_name: hostile.slice(0, 64), command_line: hostile });
  const process = table.find(GONE)!;
  const body = encodeStruct(SKYFALL_PROCESS.fields, { ...process, index: 1 });
  const bytesMax = Object.values(SKYFALL_PROCESS.fields).reduce((sum, { size }) => sum + size + 8, 0); // a length and padding each
  assert.ok(body.length <= bytesMax, `${body.length} bytes`);
  for (const text of [process.command_line, process.executable_name, process.service_name]) {
    assert.doesNotMatch(text, /\p{Cc}/u);
  }
});
