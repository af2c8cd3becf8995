/** Connections in other network namespaces, such as containers', are told while they are open, new and old. */

import assert from "node:assert/strict";
import { END_REASON } from "../agent/flow.ts";
import { type Actor, compileActor, Yard } from "./attribution/actor.ts";
import { judge, namedByEnds } from "./attribution/judge.ts";
import { NetworkNamespace } from "./attribution/network_namespace.ts";
import { captureAgent } from "./captured.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("gcc", "--version"), await missingCommand("ip", "-V"));
const INTERIM_MS = 200;

/** A client and a server with one connection, once both have told of it. */
async function connect(yard: Yard, prefix: readonly string[]): Promise<Actor[]> {
  const server = yard.start(["serve", "prefork", "127.0.0.1", 0, 1], prefix);
  const client = yard.start(["connect", "hold", "127.0.0.1", await server.port, 1], prefix);
  await Promise.all([server.told(1), client.told(1)]);
  return [client, server];
}

testWith(missing, "agent tells of open connections in other network namespaces, with their processes", async () => {
  await using old = await NetworkNamespace.create(), young = await NetworkNamespace.create();
  await using yard = new Yard(await compileActor(await Deno.makeTempDir()));
  const actors = await connect(yard, old.prefix);
  const datagrams = await captureAgent(async () => {
    actors.push(...await connect(yard, young.prefix));
    await new Promise((resolve) => setTimeout(resolve, 5 * INTERIM_MS));
    for (const actor of actors) await actor.kill("SIGKILL");
  }, ["--interim-interval-ms", String(INTERIM_MS)]);
  const named = namedByEnds(datagrams);
  assert.equal(yard.truths.length, 4);
  for (const { end, local, remote } of yard.truths) {
    const reasons = named.get(`${local} ${remote}`)?.map(({ end_reason }) => end_reason);
    assert.equal(reasons?.[0], END_REASON.open, `the ${end} of ${local} ${remote}: ${reasons}`);
  }
  const { right, wrong } = judge(yard.truths, named);
  assert.deepEqual([right, wrong], [4, []]);
});
