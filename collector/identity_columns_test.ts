/** What rows say of their process, by column. */

import assert from "node:assert/strict";
import { IdentityColumns, TEXT } from "./identity_columns.ts";
import type { ProcessIdentity } from "./process_identity.ts";
import { Scratch } from "./scratch.ts";

const HOST = { address: "10.0.0.1", hostId: "aa", bootId: null, hostName: "one" };

function process(serviceName: string | null, pid: number | null = 7): ProcessIdentity {
  return {
    group: 1,
    host: HOST,
    flowSource: "skyfall",
    samplingRate: 1,
    pid,
    userId: 0xffff_fff0 | 0,
    networkNamespace: 2 ** 40,
    serviceName,
    executableName: "server",
    executablePath: null,
    commandLine: null,
    cgroupPath: null,
  };
}

function services(columns: IdentityColumns, ...ids: number[]): (string | null)[] {
  const { codes, dictionary } = columns.texts(TEXT.service_name, Int32Array.from(ids), new Scratch());
  assert.equal(new Set(dictionary).size, dictionary.length, "a text is in the dictionary twice");
  return [...codes].map((code) => code < 0 ? null : dictionary[code]!);
}

Deno.test("IdentityColumns gives each identity its texts and numbers, equal texts as one", () => {
  const columns = new IdentityColumns(16), scratch = new Scratch(), ids = Int32Array.of(2, 0, 1, 2);
  [process("web"), process(null, null), process("web")].forEach((identity, id) => columns.set(id, identity));
  assert.deepEqual(services(columns, 2, 0, 1, 2), ["web", "web", null, "web"]);
  const wanted = columns.texts(TEXT.service_name, ids, scratch, Uint8Array.of(0, 1, 1, 0));
  assert.deepEqual([[...wanted.codes], wanted.dictionary], [[-1, 0, -1, -1], ["web"]]);
  const pids = columns.pids(ids, scratch);
  assert.deepEqual([[...pids.values], [...pids.valid!]], [[7, 7, 0, 7], [1, 1, 0, 1]]);
  assert.equal(columns.userIds(ids, scratch).values[0], -16);
  assert.equal(columns.networkNamespaces(ids, scratch).values[0], 2n ** 40n);
});

Deno.test("IdentityColumns keeps the texts of those that stay, and gives the numbers of the others to new ones", () => {
  const columns = new IdentityColumns(16);
  ["a", "b", "c", "d"].forEach((name, id) => columns.set(id, process(name)));
  columns.keep(new Map([[1, 0], [3, 1]]));
  assert.deepEqual(services(columns, 0, 1), ["b", "d"]);
  ["a", "e", "f"].forEach((name, i) => columns.set(2 + i, process(name)));
  assert.deepEqual(services(columns, 0, 1, 2, 3, 4), ["b", "d", "a", "e", "f"]);
  columns.clear();
  columns.set(0, process("g"));
  assert.deepEqual(services(columns, 0), ["g"]);
});
