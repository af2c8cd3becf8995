/** Who a process is, and what service it belongs to. */

import assert from "node:assert/strict";
import { SKYFALL_PROCESS } from "../lib/sflow/skyfall.gen.ts";
import type { ProcessEvent } from "./event.ts";
import { containerOf, parseCgroupFile, ProcessTable, SERVICE_SOURCE, unitOf } from "./processes.ts";
import { encodeStruct } from "./xdr_encode.ts";

const CONTAINER = "4f".repeat(32);
const GONE: ProcessEvent = {
  pid: 0x7fff_0001,
  process_start_ns: 1,
  exec_id: 1,
  cgroup_id: 1,
  user_id: 0,
  network_namespace: 1,
  comm: "node",
  executable_name: "node",
  command_line: "node /srv/shop/server.js --port 80",
};

Deno.test("parseCgroupFile() takes the unified hierarchy, and systemd's where the unified one says nothing", () => {
  assert.equal(parseCgroupFile("0::/system.slice/nginx.service\n"), "/system.slice/nginx.service");
  assert.equal(parseCgroupFile("9:name=systemd:/system.slice/a.service\n4:memory:/x\n0::/\n"), "/system.slice/a.service");
  assert.equal(parseCgroupFile("0::/\n"), "/");
});

Deno.test("unitOf() takes the innermost service, and never a user manager", () => {
  assert.equal(unitOf("/system.slice/nginx.service"), "nginx");
  assert.equal(unitOf("/user.slice/user-1000.slice/user@1000.service/app.slice/code.service"), "code");
  assert.equal(unitOf("/user.slice/user-1000.slice/user@1000.service/session.slice"), "");
});

Deno.test("containerOf() knows the paths of Docker, containerd, CRI-O and Podman", () => {
  assert.equal(containerOf(`/docker/${CONTAINER}`), CONTAINER);
  assert.equal(containerOf(`/system.slice/docker-${CONTAINER}.scope`), CONTAINER);
  assert.equal(containerOf(`/kubepods.slice/kubepods-pod1.slice/cri-containerd-${CONTAINER}.scope`), CONTAINER);
  assert.equal(containerOf(`/kubepods/besteffort/pod1/${CONTAINER}`), CONTAINER);
  assert.equal(containerOf(`/machine.slice/libpod-${CONTAINER}.scope/container`), CONTAINER);
  assert.equal(containerOf("/system.slice/nginx.service"), "");
});

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

Deno.test("ProcessTable takes another program under the same pid for another process", () => {
  const table = new ProcessTable([]);
  table.add(GONE);
  assert.equal(table.find({ ...GONE, exec_id: 2 }), null);
  assert.equal(table.find({ ...GONE, process_start_ns: 2 }), null);
});

Deno.test("ProcessTable reads a process that never described itself from /proc", () => {
  const self = { ...GONE, pid: Deno.pid };
  const process = new ProcessTable([]).find(self)!;
  assert.equal(process.executable_path, Deno.execPath());
  assert.match(process.command_line, /test/);
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
