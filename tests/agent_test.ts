/** The agent on this kernel, and on a host that lacks what it needs. */

import assert from "node:assert/strict";
import { afterHiding, runTask, WITHOUT_CAPABILITIES } from "./command.ts";
import { missingKernel, testWith } from "./require.ts";

const missing = await missingKernel();
const RUN = ["run", "--collector", "127.0.0.1:6343"];

/** The last line of the log. */
function failure(stderr: string): string {
  const line = JSON.parse(stderr.trimEnd().split("\n").at(-1)!);
  assert.equal(line.message, "failed");
  return line.error;
}

testWith(missing, "agent check finds every field of a known conversation as the kernel's own account has it", async () => {
  const { code, stdout, stderr } = await runTask("agent", ["check"]);
  assert.equal(code, 0, stderr);
  const counts = /self-test: (\d+) of (\d+) fields/.exec(stdout);
  assert.equal(counts?.[1], counts?.[2]);
  assert.ok(Number(counts?.[1]) > 100, stdout);
});

testWith(missing, "agent check --explain says of every rung up to the one that is taken why not", async () => {
  const { code, stdout, stderr } = await runTask("agent", ["check", "--explain"]);
  assert.equal(code, 0, stderr);
  const verdicts = [...stdout.matchAll(/^rung (\S+): (taken|not taken: \S+ .*)$/gm)].map((
    [, rung, verdict],
  ) => [rung, verdict === "taken"]);
  const order = ["kprobe", "kprobe-elf", "kprobe-min-btf", "tp_btf"];
  assert.deepEqual(verdicts, order.slice(0, verdicts.length).map((rung, i) => [rung, i === verdicts.length - 1]));
});

testWith(missing, "agent check --rung takes the rung that it names, or none", async () => {
  const { code, stdout } = await runTask("agent", ["check", "--rung", "tp_btf"]);
  assert.equal(code, 0);
  assert.match(stdout, /attached: rung tp_btf/);
  const hide = afterHiding("d=$(mktemp -d); mount --bind $d /sys/kernel/btf; rmdir $d");
  const refused = await runTask("agent", ["check", "--rung", "tp_btf"], hide);
  assert.equal(refused.code, 1);
  assert.match(failure(refused.stderr), /^Cannot observe this kernel: rung "tp_btf": .*CONFIG_DEBUG_INFO_BTF$/);
});

Deno.test("agent refuses a rung that there is not, as misuse, with the names of those there are", async () => {
  const { code, stderr } = await runTask("agent", ["check", "--rung", "none"]);
  assert.equal(code, 2);
  assert.match(stderr, /kprobe, kprobe-elf, kprobe-min-btf, tp_btf/);
});

testWith(missing, "agent run says which capabilities it needs where it has none", async () => {
  const { code, stderr } = await runTask("agent", RUN, WITHOUT_CAPABILITIES);
  assert.equal(code, 1);
  assert.match(failure(stderr), /CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN/);
});

testWith(missing, "agent run says what a kernel without BTF lacks", async () => {
  const hide = afterHiding("d=$(mktemp -d); mount --bind $d /sys/kernel/btf; rmdir $d");
  const { code, stderr } = await runTask("agent", RUN, hide);
  assert.equal(code, 1);
  assert.match(failure(stderr), /rung "tp_btf": \/sys\/kernel\/btf\/vmlinux is not there: .*CONFIG_DEBUG_INFO_BTF/);
});

testWith(missing, "agent run says of every rung what is missing where the kernel has none of their hooks", async () => {
  const hide = afterHiding(`
    d=$(mktemp -d)
    for folder in /sys/kernel/btf /sys/bus/event_source/devices/kprobe; do
      test ! -e $folder || mount --bind $d $folder
    done
    rmdir $d`);
  const { code, stderr } = await runTask("agent", RUN, hide);
  assert.equal(code, 1);
  const error = failure(stderr);
  assert.match(error, /^Cannot observe this kernel: /);
  for (const rung of ["kprobe", "kprobe-elf", "kprobe-min-btf"]) {
    assert.match(error, new RegExp(`rung "${rung}": /sys/bus/event_source/devices/kprobe is not there: .*CONFIG_KPROBE_EVENTS`));
  }
  assert.match(error, /rung "tp_btf": \/sys\/kernel\/btf\/vmlinux is not there: kernel \S+ was built without CONFIG_DEBUG_INFO_BTF/);
});

testWith(missing, "agent run says how to install the library that is missing", async () => {
  const hide = afterHiding(`
    lib=$(dirname $(ldconfig -p | sed -n 's/.*libbpf.so.1 .* => //p' | head -n 1))
    d=$(mktemp -d)
    mount -t tmpfs tmpfs $d
    mkdir $d/upper $d/work
    mount -t overlay overlay -o lowerdir=$lib,upperdir=$d/upper,workdir=$d/work $lib
    rm $lib/libbpf.so.1`);
  const { code, stderr } = await runTask("agent", RUN, hide);
  assert.equal(code, 1);
  assert.match(failure(stderr), /libbpf\.so\.1.*apt-get install libbpf1/);
});

Deno.test("agent run refuses a collector that is no address and port, as misuse", async () => {
  const { code, stderr } = await runTask("agent", ["run", "--collector", "nowhere"]);
  assert.equal(code, 2);
  assert.match(stderr, /'nowhere' is invalid. Needed "HOST:PORT"/);
});

Deno.test("agent run names the place in a configuration that is wrong", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, `{"services": [{"command_line": "x"}]}`);
  const { code, stderr } = await runTask("agent", [...RUN, "--config", path]);
  assert.equal(code, 2);
  assert.match(failure(stderr), /services\[0\]\.service_name/);
});
