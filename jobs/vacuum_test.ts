/** Vacuum deletes what nobody can ask for, and nothing else. */

import assert from "node:assert/strict";
import { runCompact } from "./compact.ts";
import { runEtl } from "./etl.ts";
import { Lease } from "./lake/lease.ts";
import { tableDirectory } from "./lake/table.ts";
import { FLOW } from "./lake/tables.ts";
import { withLake } from "./query.ts";
import { ask, MESSAGE_ROWS, newPlace, publishFlows, type TestPlace } from "./testdata/topic.ts";
import { runVacuum } from "./vacuum.ts";

const NOTHING = new Map<string, number>();
const NOW = { retainMs: 0, isDryRun: false };
const DAY_MS = 86_400_000;

/** A lake whose first version has one file an hour, and whose second has replaced them. */
async function compactedLake(): Promise<TestPlace> {
  const place = await newPlace();
  await publishFlows(place.topic, 6, 1);
  await runEtl(place.topic.replace(/\?.*/, ""), place.lake);
  await runCompact(place.lake, NOTHING);
  return place;
}

function dataFiles({ lake }: TestPlace): string[] {
  const files: string[] = [];
  const walk = (folder: string): void => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) walk(`${folder}/${name}`);
      else if (name.endsWith(".parquet")) files.push(`${folder}/${name}`);
    }
  };
  walk(tableDirectory(lake, FLOW));
  return files.sort();
}

const countRows = "select count(*)::integer as rows from flow";

Deno.test("runVacuum() deletes files that were replaced longer ago than they are kept, and a dry run only names them", async () => {
  const place = await compactedLake(), before = dataFiles(place);
  assert.deepEqual(await runVacuum(place.lake, { retainMs: null, isDryRun: false }), []);
  const would = await runVacuum(place.lake, { ...NOW, isDryRun: true });
  assert.deepEqual(dataFiles(place), before);
  const dead = await runVacuum(place.lake, NOW);
  assert.deepEqual(dead, would);
  assert.equal(dead!.length, before.length / 2);
  assert.deepEqual(dataFiles(place), before.filter((path) => !dead!.some((file) => file.path === path)));
  assert.deepEqual(await ask(place.lake, countRows), [{ rows: 6 * MESSAGE_ROWS }]);
  assert.deepEqual(await runVacuum(place.lake, NOW), []);
});

Deno.test("runVacuum() leaves what a reader of an older version holds until it ends", async () => {
  const place = await compactedLake(), before = dataFiles(place);
  await withLake(place.lake, async (database) => {
    assert.deepEqual(await runVacuum(place.lake, NOW), []);
    assert.deepEqual(await database.rows(countRows), [{ rows: 6 * MESSAGE_ROWS }]);
  }, { version: 0n });
  assert.deepEqual(dataFiles(place), before);
  assert.equal((await runVacuum(place.lake, NOW))!.length, before.length / 2);
});

Deno.test("runVacuum() deletes nothing while a reader has not said what it reads", async () => {
  const place = await compactedLake();
  {
    using _lease = await Lease.forReading(place.lake);
    assert.deepEqual(await runVacuum(place.lake, NOW), []);
  }
  assert.notDeepEqual(await runVacuum(place.lake, NOW), []);
});

Deno.test("the lease of a reader that was killed holds nothing", async () => {
  const place = await compactedLake();
  const reader = `import { Lease } from ${JSON.stringify(new URL("lake/lease.ts", import.meta.url).href)};
    await Lease.forReading(Deno.args[0]); console.log("held"); await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const args = ["eval", reader, place.lake], cwd = new URL("..", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), { args, cwd, stdout: "piped" }).spawn();
  const output = child.stdout.getReader();
  await output.read();
  assert.deepEqual(await runVacuum(place.lake, NOW), []);
  child.kill("SIGKILL");
  await child.status;
  await output.cancel();
  assert.notDeepEqual(await runVacuum(place.lake, NOW), []);
  assert.deepEqual([...Deno.readDirSync(`${place.lake}/_leases`)], []);
});

Deno.test("runVacuum() leaves a file that no version names while it is young, or while a writer is at work that may name it", async () => {
  const place = await compactedLake();
  await runVacuum(place.lake, NOW);
  const [kept] = dataFiles(place), orphan = kept!.replace(/[^/]*$/, "part-orphan.zstd.parquet");
  await Deno.copyFile(kept!, orphan);
  assert.deepEqual(await runVacuum(place.lake, NOW), []);
  {
    using _lease = await Lease.forWriting(place.lake);
    const [lease] = [...Deno.readDirSync(`${place.lake}/_leases`)];
    const weekAgo = new Date(Date.now() - 7 * DAY_MS), earlier = new Date(Date.now() - 8 * DAY_MS);
    await Deno.utime(`${place.lake}/_leases/${lease!.name}`, earlier, earlier);
    await Deno.utime(orphan, weekAgo, weekAgo);
    assert.deepEqual(await runVacuum(place.lake, NOW), []);
  }
  assert.deepEqual((await runVacuum(place.lake, NOW))!.map(({ path }) => path), [orphan]);
});

Deno.test("a retention that is longer than the table's is written into the table, once", async () => {
  const place = await compactedLake(),
    versions = async () => {
      const { version, metaData } = await withLake(place.lake, (_, snapshot) => Promise.resolve(snapshot));
      return [version, metaData!.configuration!["delta.deletedFileRetentionDuration"]];
    };
  const [version] = await versions();
  await runVacuum(place.lake, { retainMs: DAY_MS, isDryRun: false });
  assert.deepEqual(await versions(), [version, undefined]);
  for (let run = 0; run < 2; run++) {
    await runVacuum(place.lake, { retainMs: 30 * DAY_MS, isDryRun: false });
    assert.deepEqual(await versions(), [BigInt(version!) + 1n, "interval 720 hours"]);
  }
});

Deno.test("as of a version or a time the lake answers as it did then", async () => {
  const place = await newPlace(), url = place.topic.replace(/\?.*/, "");
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    await publishFlows(place.topic, 2, 10 * i);
    await runEtl(url, place.lake);
    times.push(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await runCompact(place.lake, NOTHING);
  const rows = (asOf: Parameters<typeof withLake>[2]) => withLake(place.lake, (database) => database.rows(countRows), asOf);
  for (let i = 0; i < 3; i++) {
    const expected = [{ rows: 2 * (i + 1) * MESSAGE_ROWS }];
    assert.deepEqual(await rows({ version: BigInt(i) }), expected);
    assert.deepEqual(await rows({ timeMs: times[i]! }), expected);
  }
});

Deno.test("as of a version that was vacuumed, one that never was, or a time before the lake, the oldest that is there is told", async () => {
  const place = await compactedLake();
  await runVacuum(place.lake, NOW);
  const { version } = await withLake(place.lake, (_, snapshot) => Promise.resolve(snapshot));
  const asOf = (asOf: Parameters<typeof withLake>[2]) => withLake(place.lake, () => Promise.resolve(), asOf);
  await asOf({ version });
  await assert.rejects(asOf({ version: 0n }), {
    name: "LakeError",
    message: new RegExp(`"flow" as of version 0: its files were vacuumed; the oldest version that is there is ${version}, of 20`),
  });
  await assert.rejects(asOf({ version: 99n }), { name: "LakeError", message: new RegExp(`as of version 99: .* has 0 to ${version}`) });
  await assert.rejects(asOf({ timeMs: 0 }), {
    name: "LakeError",
    message: /as of 1970.*not known as of then; its oldest version is 0, of 20/,
  });
});
