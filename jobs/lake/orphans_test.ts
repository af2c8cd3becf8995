/** Which files without a name of their own are removed, and which stay. */

import assert from "node:assert/strict";
import { Lease } from "./lease.ts";
import { removeOrphans } from "./orphans.ts";

const HOUR_MS = 3_600_000;

async function setAge(path: string, hours: number): Promise<void> {
  const time = new Date(Date.now() - hours * HOUR_MS);
  await Deno.utime(path, time, time);
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

Deno.test("removeOrphans() leaves what is younger than an hour, or than a writer at work", async () => {
  const lake = await Deno.makeTempDir(), staging = `${lake}/_staging`;
  try {
    await Deno.mkdir(staging);
    for (const [name, hours] of [["young", 0.9], ["older than an hour", 2], ["older than the writer", 4]] as const) {
      await Deno.writeTextFile(`${staging}/${name}`, "");
      await setAge(`${staging}/${name}`, hours);
    }
    await Deno.mkdir(`${staging}/folder`);
    await Deno.writeTextFile(`${staging}/folder/file`, "");
    await setAge(`${staging}/folder`, 4);
    {
      using _lease = await Lease.forWriting(lake);
      await setAge(`${lake}/_leases/${namesIn(`${lake}/_leases`)[0]}`, 3);
      await removeOrphans(lake, [staging]);
      assert.deepEqual(namesIn(staging), ["older than an hour", "young"]);
    }
    await removeOrphans(lake, [staging]);
    assert.deepEqual(namesIn(staging), ["young"]);
  } finally {
    await Deno.remove(lake, { recursive: true });
  }
});
