/** Control groups by id and path. */

import assert from "node:assert/strict";
import { CgroupPaths, parseCgroupFile } from "./cgroups.ts";

Deno.test("parseCgroupFile() takes the unified hierarchy, and systemd's where the unified one says nothing", () => {
  assert.deepEqual(parseCgroupFile("0::/system.slice/nginx.service\n"), { path: "/system.slice/nginx.service", isUnified: true });
  const hybrid = "9:name=systemd:/system.slice/a.service\n4:memory:/x\n0::/\n";
  assert.deepEqual(parseCgroupFile(hybrid), { path: "/system.slice/a.service", isUnified: false });
  assert.deepEqual(parseCgroupFile("0::/\n"), { path: "/", isUnified: true });
  const id = "5f".repeat(32);
  assert.deepEqual(parseCgroupFile(`7:pids:/docker/${id}\n1:name=systemd:/\n`), { path: `/docker/${id}`, isUnified: false });
});

Deno.test("CgroupPaths keeps the path of an id, for processes that are gone", () => {
  const paths = new CgroupPaths();
  assert.equal(paths.find(2 ** 40, "0::/of.a/group.that/is.gone\n"), "/of.a/group.that/is.gone");
  assert.equal(paths.find(2 ** 40, null), "/of.a/group.that/is.gone");
  assert.equal(paths.find(2 ** 40 + 1, null), "");
});

Deno.test("CgroupPaths takes no path of another hierarchy for that of an id", () => {
  const paths = new CgroupPaths();
  assert.equal(paths.find(1, "9:name=systemd:/system.slice/a.service\n0::/\n"), "/system.slice/a.service");
  assert.equal(paths.find(1, null), "");
});

Deno.test("CgroupPaths believes the kernel before what /proc says later", () => {
  const paths = new CgroupPaths();
  paths.keep(7, "/system.slice/a.service");
  assert.equal(paths.find(7, "0::/system.slice/another.service\n"), "/system.slice/a.service");
});
