/** The Delta log: what is committed is read back, and what is broken is named. */

import assert from "node:assert/strict";
import { type AddFile, commitVersion, readSnapshot, refreshSnapshot } from "./delta_log.ts";

const noCheckpoint = () => Promise.reject(new Error("there is no checkpoint"));

function add(path: string): AddFile {
  return { path, partitionValues: {}, size: 1, modificationTime: 0, dataChange: true };
}

async function newTable(...versions: object[][]): Promise<string> {
  const directory = await Deno.makeTempDir();
  await Deno.mkdir(`${directory}/_delta_log`);
  for (const [version, actions] of versions.entries()) assert.equal(await commitVersion(directory, BigInt(version), actions), true);
  return directory;
}

const logFile = (directory: string, version: number) => `${directory}/_delta_log/${String(version).padStart(20, "0")}.json`;

Deno.test("readSnapshot() gives files, and the last version of each application", async () => {
  const txn = (version: number) => ({ txn: { appId: "a", version } });
  const directory = await newTable([{ add: add("x") }, txn(3)], [{ add: add("y") }, txn(7)], [{ remove: { path: "x", dataChange: true } }]);
  const { version, files, transactions } = await readSnapshot(directory, noCheckpoint);
  assert.deepEqual([version, [...files.keys()], transactions.get("a")], [2n, ["y"], 7n]);
});

Deno.test("readSnapshot() gives version -1 where there is no table", async () => {
  assert.equal((await readSnapshot("/nowhere", noCheckpoint)).version, -1n);
});

Deno.test("commitVersion() gives way to whoever was first, and leaves nothing behind", async () => {
  const directory = await newTable([{ add: add("x") }]);
  assert.equal(await commitVersion(directory, 0n, [{ add: add("z") }]), false);
  assert.deepEqual([...(await readSnapshot(directory, noCheckpoint)).files.keys()], ["x"]);
  assert.deepEqual([...Deno.readDirSync(`${directory}/_delta_log`)].map(({ name }) => name), ["00000000000000000000.json"]);
});

Deno.test("commitVersion() lets exactly one of many writers have a version", async () => {
  const directory = await newTable();
  const won = await Promise.all(Array.from({ length: 20 }, (_, i) => commitVersion(directory, 0n, [{ add: add(String(i)) }])));
  assert.equal(won.filter(Boolean).length, 1);
});

Deno.test("readSnapshot() names the file that a log with a hole lacks", async () => {
  const directory = await newTable([{ add: add("x") }], [{ add: add("y") }], [{ add: add("z") }]);
  await Deno.remove(logFile(directory, 1));
  await assert.rejects(readSnapshot(directory, noCheckpoint), {
    name: "LakeError",
    message: /from version 0 to 2; "00000000000000000001.json" is missing/,
  });
});

for (const [what, line] of [["no JSON", '{"add":'], ["no action", '{"add":{"path":7}}']] as const) {
  Deno.test(`readSnapshot() names the file and line of an entry that is ${what}`, async () => {
    const directory = await newTable([{ add: add("x") }], [{ add: add("y") }]);
    await Deno.writeTextFile(logFile(directory, 1), `{"add":${JSON.stringify(add("y"))}}\n${line}\n`);
    await assert.rejects(readSnapshot(directory, noCheckpoint), {
      name: "LakeError",
      message: /00000000000000000001\.json": line 2 is no/,
    });
  });
}

Deno.test("readSnapshot() refuses a protocol that is newer than this program", async () => {
  const directory = await newTable([{ protocol: { minReaderVersion: 3, minWriterVersion: 7 } }]);
  await assert.rejects(readSnapshot(directory, noCheckpoint), {
    name: "LakeError",
    message: /needs reader 3 and writer 7.*use a newer Skyfall/,
  });
});

Deno.test("readSnapshot() goes on from the newest checkpoint, in one part or several, if it is whole", async () => {
  const base = "00000000000000000000.checkpoint", parts = [1, 2].map((part) => `${base}.000000000${part}.0000000002.parquet`);
  for (const names of [[`${base}.parquet`], parts]) {
    const directory = await newTable([{ add: add("x") }], [{ add: add("y") }]);
    await Deno.remove(logFile(directory, 0));
    for (const name of [...names, "00000000000000000001.checkpoint.0000000001.0000000002.parquet"]) {
      await Deno.writeTextFile(`${directory}/_delta_log/${name}`, "");
    }
    const asked: string[] = [];
    const snapshot = await readSnapshot(directory, (paths) => {
      asked.push(...paths.map((path) => path.split("/").at(-1)!));
      return Promise.resolve([{ add: add("x"), remove: null }]);
    });
    assert.deepEqual(asked, names);
    assert.deepEqual([...snapshot.files.keys()], ["x", "y"]);
  }
});

Deno.test("readSnapshot() goes on from an older checkpoint, or the log itself, where the newest is damaged", async () => {
  const damaged = () => Promise.reject(new Error("no magic bytes"));
  const directory = await newTable([{ add: add("x") }], [{ add: add("y") }], [{ add: add("z") }]);
  const checkpoint = (version: number) => `${directory}/_delta_log/${String(version).padStart(20, "0")}.checkpoint.parquet`;
  await Deno.writeTextFile(checkpoint(1), "");
  assert.deepEqual([...(await readSnapshot(directory, damaged)).files.keys()], ["x", "y", "z"]);
  await Deno.writeTextFile(checkpoint(0), "");
  await Deno.remove(logFile(directory, 0));
  const older = ([path]: readonly string[]) => path === checkpoint(0) ? Promise.resolve([{ add: add("x") }]) : damaged();
  assert.deepEqual([...(await readSnapshot(directory, older)).files.keys()], ["x", "y", "z"]);
  await assert.rejects(readSnapshot(directory, damaged), { name: "LakeError", message: /0001\.checkpoint\.parquet": it is damaged/ });
});

Deno.test("readSnapshot() gives the version that was asked for, and says which there are", async () => {
  const directory = await newTable([{ add: add("x") }], [{ add: add("y") }], [{ remove: { path: "x", dataChange: true } }]);
  assert.deepEqual([...(await readSnapshot(directory, noCheckpoint, 1n)).files.keys()], ["x", "y"]);
  await assert.rejects(readSnapshot(directory, noCheckpoint, 3n), { name: "LakeError", message: /no version 3; its log has 0 to 2/ });
  await assert.rejects(readSnapshot("/nowhere", noCheckpoint, 3n), { name: "LakeError", message: /its log has none to none/ });
});

Deno.test("readSnapshot() keeps what is no longer a file of the table, until it is one again", async () => {
  const directory = await newTable([{ add: add("x") }, { add: add("y") }], [{
    remove: { path: "x", dataChange: true, deletionTimestamp: 5 },
  }]);
  const { tombstones, files } = await readSnapshot(directory, noCheckpoint);
  assert.deepEqual([[...tombstones.keys()], [...files.keys()]], [["x"], ["y"]]);
  await commitVersion(directory, 2n, [{ add: add("x") }]);
  assert.deepEqual([...(await readSnapshot(directory, noCheckpoint)).tombstones.keys()], []);
});

Deno.test("refreshSnapshot() gives what was committed since, and leaves the snapshot before as it was", async () => {
  const directory = await newTable([{ add: add("x") }]);
  const before = await readSnapshot(directory, noCheckpoint);
  assert.equal(await refreshSnapshot(directory, before), before);
  await commitVersion(directory, 1n, [{ add: add("y") }, { txn: { appId: "a", version: 4 } }]);
  const { version, files, transactions } = await refreshSnapshot(directory, before);
  assert.deepEqual([version, [...files.keys()], transactions.get("a")], [1n, ["x", "y"], 4n]);
  assert.deepEqual([before.version, [...before.files.keys()]], [0n, ["x"]]);
});

Deno.test("refreshSnapshot() does not take a hole in the log for its end", async () => {
  const directory = await newTable([{ add: add("x") }], [{ add: add("y") }], [{ add: add("z") }]);
  const before = await readSnapshot(directory, noCheckpoint, 0n);
  await Deno.remove(logFile(directory, 1));
  await assert.rejects(refreshSnapshot(directory, before), {
    name: "LakeError",
    message: /from version 0 to 2; "00000000000000000001.json" is missing/,
  });
});
