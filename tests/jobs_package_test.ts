/** The jobs' package, on a copy of this host without a network and without the sources: it moves a topic, answers, reports, and goes. */

import assert from "node:assert/strict";
import { newPlace, publishFlows } from "../jobs/testdata/topic.ts";
import { buildPackage } from "../packaging/build_deb.ts";
import { HostCopy } from "./host_copy.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";
import { PROJECT, readSource } from "./sources.ts";

const notRoot = Deno.uid() === 0 ? null : "not root";
const missing = firstMissing(notRoot, await missingCommand("dpkg-deb", "--version"), await missingCommand("ip", "-V"));

/** As the user that the package makes, with what the units give it. */
const AS_UNIT =
  "setpriv --reuid skyfall --regid skyfall --clear-groups --no-new-privs env -i PATH=/usr/bin:/bin CACHE_DIRECTORY=/var/cache/skyfall-etl";

testWith(missing, "the jobs' package moves a topic into a lake, answers, reports and schedules as its own user, and goes", async () => {
  const folder = await Deno.makeTempDir();
  await using _cleanup = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const path = await buildPackage("jobs", "0.1.0", folder);
  const { directory, topic } = await newPlace();
  await publishFlows(topic, 4, 1);
  await using copy = await HostCopy.make();
  const before = await copy.shell("find /etc /usr /var/cache -xdev -path '*skyfall*' | sort");
  await copy.write("/run/jobs.deb", await Deno.readFile(path));
  await copy.write("/run/topic.db", await Deno.readFile(`${directory}/topic.db`));
  await copy.shell(
    "dpkg --install /run/jobs.deb && install -d -o skyfall -g skyfall /var/lib/skyfall /var/cache/skyfall-etl && cp /run/topic.db /var/lib/skyfall && chown skyfall /var/lib/skyfall/topic.db",
  );
  const jobs = (args: string) => copy.shell(`${AS_UNIT} skyfall-jobs ${args}`);
  await jobs("run etl --topic sqlite:/var/lib/skyfall/topic.db --lake /var/lib/skyfall/lake");
  assert.match(await jobs("sql 'select count(*) as n from flow' --format csv --lake /var/lib/skyfall/lake"), /^n\r?\n200$/m);
  await jobs("report --lake /var/lib/skyfall/lake --output /var/lib/skyfall/report.html");
  assert.match(await copy.shell("head -c 15 /var/lib/skyfall/report.html"), /^<!doctype html>/);
  assert.match(
    await jobs("schedule --cron --lake /var/lib/skyfall/lake"),
    /^\*\/10 \* \* \* \* \/usr\/bin\/skyfall-jobs run compact --lake \/var\/lib\/skyfall\/lake$/m,
  );
  await copy.shell("dpkg --purge skyfall-jobs");
  assert.equal(await copy.shell("find /etc /usr /var/cache -xdev -path '*skyfall*' | sort"), before);
  await copy.shell("test -d /var/lib/skyfall/lake/flow");
});

Deno.test("the jobs' units name what the package's settings have", async () => {
  const known = new Set((await readSource("packaging/jobs.env")).matchAll(/^(\w+)=/gm).map(([, name]) => name));
  for (const unit of ["etl", "dependencies"]) {
    const text = await readSource(`packaging/skyfall-${unit}.service`), start = /^ExecStart=(.*)$/m.exec(text)![1]!;
    assert.ok(start.startsWith(`/usr/bin/skyfall-jobs run ${unit} --follow`), start);
    for (const [, name] of start.matchAll(/\$\{(\w+)\}/g)) assert.ok(known.has(name!), name);
    const document = /^Documentation=file:\/\/\/usr\/share\/doc\/skyfall-jobs\/(.*)$/m.exec(text)![1]!;
    await Deno.stat(new URL(`docs/reference/${document}`, PROJECT));
  }
});
