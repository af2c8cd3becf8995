/** Which port is the service: the one of the end that was connected to, whatever the numbers, and however old the connection. */

import assert from "node:assert/strict";
import { ROLE } from "../agent/flow.ts";
import { type Actor, compileActor, type Truth, Yard } from "./attribution/actor.ts";
import { NetworkNamespace } from "./attribution/network_namespace.ts";
import { namedByEnds } from "./attribution/judge.ts";
import { captureAgent } from "./captured.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("gcc", "--version"), await missingCommand("ip", "-V"));
const HOST = "127.0.0.1";

interface Case {
  readonly what: string;
  /** net.ipv4.ip_local_port_range. */
  readonly ephemeral?: readonly [number, number];
  /** 0: the kernel chooses. */
  readonly serverPort: number;
  readonly clientPort: number;
  /** Whether the client listens on the port that it connects from. */
  readonly clientListens?: boolean;
  /** Whether the server stops listening once it has its connection. */
  readonly stopsListening?: boolean;
}

const CASES: readonly Case[] = [
  { what: "both ports chosen by the kernel", serverPort: 0, clientPort: 0 },
  { what: "a server on a high port, a client on a low one", serverPort: 65_000, clientPort: 600 },
  { what: "ephemeral ports below the server's", ephemeral: [1_024, 2_000], serverPort: 50_000, clientPort: 0 },
  { what: "both ends listen, the client's port is lower", serverPort: 8_000, clientPort: 7_000, clientListens: true },
  { what: "both ends listen, the client's port is higher", serverPort: 8_000, clientPort: 9_000, clientListens: true },
  { what: "a server that stopped listening, the client's port is lower", serverPort: 8_000, clientPort: 7_000, stopsListening: true },
  {
    what: "a server that stopped listening, the client still listens",
    serverPort: 8_000,
    clientPort: 7_000,
    clientListens: true,
    stopsListening: true,
  },
];

/** Opens one connection, and returns its processes once both ends have told of it. */
async function open(
  yard: Yard,
  { serverPort, clientPort, clientListens, stopsListening }: Case,
  prefix: readonly string[],
): Promise<Actor[]> {
  const server = yard.start(["serve", stopsListening ? "once" : "prefork", HOST, serverPort, 1], prefix);
  const client = yard.start(["from", clientPort, clientListens ? 1 : 0, HOST, await server.port], prefix);
  await Promise.all([server.told(1), client.told(1)]);
  return [client, server];
}

/** The test kills the processes, so that every connection ends under the agent. */
async function end(actors: readonly Actor[]): Promise<void> {
  for (const actor of actors) await actor.kill("SIGKILL");
}

function assertServicePorts(truths: readonly Truth[], datagrams: readonly Uint8Array[], what: string): void {
  const named = namedByEnds(datagrams);
  assert.equal(truths.length, 2, what);
  for (const { end, local, remote } of truths) {
    const records = named.get(`${local} ${remote}`) ?? [];
    assert.ok(records.length > 0, `${what}: nothing was told of ${local} ${remote}`);
    for (const { role, role_source } of records) {
      assert.equal(
        role,
        end === "client" ? ROLE.client : ROLE.server,
        `${what}: the ${end} of ${local} ${remote}, by source ${role_source}`,
      );
    }
  }
}

for (const isOld of [false, true]) {
  testWith(missing, `agent knows the service port of connections ${isOld ? "older than itself" : "that it sees begin"}`, async (t) => {
    const program = await compileActor(await Deno.makeTempDir());
    for (const one of CASES) {
      await t.step(one.what, async () => {
        await using namespace = await NetworkNamespace.create(one.ephemeral ?? [32_768, 60_999]);
        await using yard = new Yard(program);
        const before = isOld ? await open(yard, one, namespace.prefix) : [];
        const datagrams = await captureAgent(async () => end(isOld ? before : await open(yard, one, namespace.prefix)), []);
        assertServicePorts(yard.truths, datagrams, one.what);
      });
    }
  });
}
