/** Connections in other network namespaces, such as containers', that are older than the agent. */

import assert from "node:assert/strict";
import { ATTRIBUTION_SOURCE, END_REASON } from "../agent/flow.ts";
import { type Actor, compileActor, Yard } from "./attribution/actor.ts";
import { judge, namedByEnds } from "./attribution/judge.ts";
import { NetworkNamespace } from "./attribution/network_namespace.ts";
import { captureAgent } from "./captured.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("gcc", "--version"), await missingCommand("ip", "-V"));

/** A client and a server with one connection, once both have told of it. */
async function connect(yard: Yard, prefix: readonly string[]): Promise<Actor[]> {
  const server = yard.start(["serve", "prefork", "127.0.0.1", 0, 1], prefix);
  const client = yard.start(["connect", "hold", "127.0.0.1", await server.port, 1], prefix);
  await Promise.all([server.told(1), client.told(1)]);
  return [client, server];
}

testWith(missing, "agent finds the connections that are open in other network namespaces, with their processes", async () => {
  await using namespace = await NetworkNamespace.create();
  await using yard = new Yard(await compileActor(await Deno.makeTempDir()));
  const actors = await connect(yard, namespace.prefix);
  const datagrams = await captureAgent(async () => {
    for (const actor of actors) await actor.kill("SIGKILL");
  }, []);
  const named = namedByEnds(datagrams);
  assert.equal(yard.truths.length, 2);
  for (const { end, local, remote } of yard.truths) {
    const first = named.get(`${local} ${remote}`)![0]!;
    assert.deepEqual([first.end_reason, first.attribution_source], [END_REASON.open, ATTRIBUTION_SOURCE.task_file], end);
  }
  const { right, wrong } = judge(yard.truths, named);
  assert.deepEqual([right, wrong], [2, []]);
});
