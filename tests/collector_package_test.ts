/** The collector's Debian package on a copy of this host without a network and without the sources: its unit's command as its user. */

import assert from "node:assert/strict";
import { GOLDEN } from "../collector/testdata/datagram.ts";
import { CONFIG_FILE } from "../collector/config.ts";
import { parseConfigFile } from "../lib/config_file.ts";
import { buildPackage } from "../packaging/build_deb.ts";
import { HostCopy } from "./host_copy.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";
import { readSource } from "./sources.ts";

const notRoot = Deno.uid() === 0 ? null : "not root";
const missing = firstMissing(notRoot, await missingCommand("dpkg-deb", "--version"), await missingCommand("ip", "-V"));
const UNIT = await readSource("packaging/skyfall-collector.service");

/** Runs the unit's command as nobody without a capability, sends it a datagram, looks at it with top, and stops it. */
const RUN = `
mkdir -p /var/lib/skyfall-collector /var/cache/skyfall-collector
chown nobody /var/lib/skyfall-collector /var/cache/skyfall-collector
command=$(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/skyfall-collector.service)
setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all --no-new-privs $command 2> /run/collector.log &
pid=$!
for i in $(seq 100); do grep -q 'serving metrics' /run/collector.log && break; sleep 0.1; done
bash -c 'cat /run/datagram > /dev/udp/127.0.0.1/6343'
sleep 1.2
skyfall-collector top
kill -TERM $pid
wait $pid
cat /run/collector.log`;

testWith(missing, "the collector's package collects as its unit's user does, and on a purge leaves nothing", async () => {
  const folder = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const path = await buildPackage("collector", "0.1.0", folder);
  await using copy = await HostCopy.make();
  const before = await copy.shell("find /etc /usr /var/lib /var/cache -xdev -name '*skyfall*' | sort");
  await copy.write("/run/collector.deb", await Deno.readFile(path));
  await copy.write("/run/datagram", GOLDEN);
  await copy.shell("dpkg --install /run/collector.deb");
  const output = await copy.shell(RUN);
  assert.match(output, /^Skyfall collector .* ok$/m);
  const lines = output.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const { ledger } = lines.find(({ message }) => message === "stopped");
  assert.deepEqual([ledger.datagrams_received, ledger.events_published, ledger.balance], [1, 1, 0]);
  await copy.shell("test -s /var/lib/skyfall-collector/topic.db");
  await copy.shell("dpkg --purge skyfall-collector");
  assert.equal(await copy.shell("find /etc /usr /var/lib /var/cache -xdev -name '*skyfall*' | sort"), before);
});

Deno.test("the collector's package has settings that are settings, and a unit without a capability", async () => {
  const { listen, topic } = parseConfigFile("collector.yaml", await readSource("packaging/collector.yaml"), CONFIG_FILE);
  assert.deepEqual([listen?.port, topic], [6_343, "sqlite:/var/lib/skyfall-collector/topic.db"]);
  assert.match(UNIT, /^CapabilityBoundingSet=$/m);
  assert.match(UNIT, /^StateDirectory=skyfall-collector$/m);
});
