/** The Debian package, from its building to its purging, on a copy of this host without a network and without the sources. */

import { KERNEL_FAMILIES } from "../bpf/kernels/families.gen.ts";
import assert from "node:assert/strict";
import { buildPackage } from "../packaging/build_deb.ts";
import { runTask } from "./command.ts";
import { HostCopy } from "./host_copy.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { readSource } from "./sources.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("dpkg-deb", "--version"), await missingCommand("ip", "-V"));

/** Records what it is told, as this host may run without systemd. */
const SYSTEMCTL = `#!/bin/sh
echo "$@" >> /run/systemctl.log`;

const UNIT = await readSource("packaging/skyfall-agent.service");
const unitValue = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(UNIT)![1]!;

/** A command as the unit's user would run it: nobody, with the unit's capabilities alone. */
function asUnit(command: readonly string[]): string[] {
  const capabilities = unitValue("AmbientCapabilities").split(" ").map((name) => name.replace("CAP_", "+").toLowerCase()).join();
  const sets = ["--inh-caps", "--ambient-caps", "--bounding-set"].flatMap((option) => [option, `-all,${capabilities}`]);
  return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", ...sets, ...command];
}

async function install(copy: HostCopy, packagePath: string): Promise<void> {
  await copy.write("/tmp/agent.deb", await Deno.readFile(packagePath));
  await copy.shell("dpkg --install /tmp/agent.deb");
}

/** What systemctl was told since the last call. */
async function systemctlCalls(copy: HostCopy): Promise<string[]> {
  const text = await copy.shell("cat /run/systemctl.log; : > /run/systemctl.log");
  return text.trimEnd().split("\n").filter((line) => line !== "");
}

testWith(missing, "the package installs, works offline, upgrades with its settings kept, and leaves nothing", async (t) => {
  const folder = await Deno.makeTempDir();
  const [first, second] = [await buildPackage("agent", "0.1.0", folder), await buildPackage("agent", "0.2.0~rc1", folder)];
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  await using copy = await HostCopy.make();
  await copy.write("/usr/bin/systemctl", new TextEncoder().encode(SYSTEMCTL));
  await copy.shell("chmod 755 /usr/bin/systemctl; mkdir -p /run/systemd/system; : > /run/systemctl.log");
  const before = await copy.shell("find /etc /usr /var/cache -xdev -path /var/cache/ldconfig -prune -o -print | sort");

  await t.step("it installs, and the service is enabled and started", async () => {
    await install(copy, first);
    assert.deepEqual(await systemctlCalls(copy), ["daemon-reload", "enable --now skyfall-agent.service"]);
    assert.match(await copy.shell("dpkg --verify skyfall-agent; dpkg --status skyfall-agent"), /^Status: install ok installed$/m);
  });

  await t.step("agent check proves the installed files, without a network", async () => {
    assert.match(await copy.shell("/usr/bin/skyfall-agent check"), /self-test: (\d+) of \1 fields/);
  });

  await t.step("the programs of every known kernel are installed", async () => {
    const files = (await copy.shell("cd /usr/lib/skyfall/bpf && find . -type f | sed 's,^./,,'")).trim().split("\n").sort();
    const families = Object.keys(KERNEL_FAMILIES).flatMap((family) => [`kernels/${family}.bpf.o`, `kernels/${family}.btf`]);
    assert.deepEqual(files, [...["kprobe.bpf.o", "tp_btf.bpf.o", "udp.bpf.o", "udp_functions.bpf.o"], ...families].sort());
  });

  await t.step("the unit's command observes, as the unit's user with the unit's capabilities", async () => {
    const command = asUnit(["timeout", "--signal=TERM", "5", ...unitValue("ExecStart").split(" ")]);
    const { stderr } = await copy.run(...command);
    const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line) as { message: string; capabilities?: string[] });
    const messages = lines.map(({ message }) => message);
    for (const message of ["attached", "serving metrics", "rights dropped", "observing", "stopped"]) {
      assert.ok(messages.includes(message), stderr);
    }
    assert.deepEqual(lines.find(({ message }) => message === "rights dropped")?.capabilities, ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]);
  });

  await t.step("an upgrade keeps the settings and restarts the service", async () => {
    await copy.shell("echo 'nice: 11' >> /etc/skyfall/agent.yaml");
    await install(copy, second);
    assert.deepEqual(await systemctlCalls(copy), ["daemon-reload", "try-restart skyfall-agent.service"]);
    assert.match(await copy.shell("dpkg --status skyfall-agent"), /^Version: 0\.2\.0~rc1$/m);
    assert.match(await copy.shell("cat /etc/skyfall/agent.yaml"), /^nice: 11$/m);
  });

  await t.step("removal stops the service and keeps the settings alone", async () => {
    await copy.shell("dpkg --remove skyfall-agent");
    assert.deepEqual(await systemctlCalls(copy), ["disable --now skyfall-agent.service", "daemon-reload"]);
    assert.equal(await copy.shell("find /etc /usr /var/cache -xdev -path '*skyfall*' | sort"), "/etc/skyfall\n/etc/skyfall/agent.yaml\n");
  });

  await t.step("a purge leaves nothing", async () => {
    await copy.shell("dpkg --purge skyfall-agent");
    assert.equal(await copy.shell("find /etc /usr /var/cache -xdev -path /var/cache/ldconfig -prune -o -print | sort"), before);
  });
});

Deno.test("the package's settings are settings, and its unit starts with what the agent is said to need", async () => {
  const { parseConfigFile } = await import("../lib/config_file.ts");
  const { CONFIG_FILE } = await import("../agent/config.ts");
  assert.equal(parseConfigFile("agent.yaml", await readSource("packaging/agent.yaml"), CONFIG_FILE).collector?.port, 6_343);
  assert.equal(unitValue("AmbientCapabilities"), unitValue("CapabilityBoundingSet"));
});

Deno.test("buildPackage() refuses what is no version", async () => {
  await assert.rejects(buildPackage("agent", "1.0; rm", "nowhere"), { name: "SyntaxError", message: /is no version/ });
});

Deno.test("compile says what is missing where there is no denort", async () => {
  const { code, stderr } = await runTask("compile", [], ["env", "--unset=DENORT_BIN"]);
  assert.equal(code, 1);
  assert.match(stderr, /^Cannot compile: DENORT_BIN names no file, needed the path of "denort"/m);
});
