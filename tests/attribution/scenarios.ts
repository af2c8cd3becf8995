/** Ways in which connections come to their processes, hard ones above all. */

import type { Yard } from "./actor.ts";
import { cgroupFolder, Container } from "./container.ts";

/** What happens before the agent starts; the function that it returns happens under the agent. */
export interface Scenario {
  readonly name: string;
  readonly begin: (yard: Yard) => Promise<() => Promise<void>>;
}

const HOST = "127.0.0.1";
const CONNECTIONS = 300;
/** Processes that each hold one connection. */
const HOLDERS = 40;
const SERVERS = 4;

/** A server of some kind, and clients that each make `connections`, one after the other. */
function served(name: string, kind: string, servers = SERVERS, connections = CONNECTIONS): Scenario {
  const act = (yard: Yard) => async () => {
    const port = await yard.start(["serve", kind, HOST, 0, servers]).port;
    const each = Math.ceil(connections / 2);
    await Promise.all([1, 2].map(() => yard.finish(["connect", "close", HOST, port, each])));
  };
  // deno-lint-ignore require-await -- one shape for all
  return { name, begin: async (yard) => act(yard) };
}

/** Everything under the agent. */
function under(name: string, act: (yard: Yard) => Promise<void>): Scenario {
  // deno-lint-ignore require-await -- one shape for all
  return { name, begin: async (yard) => () => act(yard) };
}

/** Starts `HOLDERS` clients of one connection each, and waits until both ends have told of it. */
async function hold(yard: Yard, kind: string) {
  const server = yard.start(["serve", "prefork", HOST, 0, HOLDERS]);
  const port = await server.port;
  const clients = Array.from({ length: HOLDERS }, () => yard.start(["connect", kind, HOST, port, 1]));
  await server.told(HOLDERS);
  await Promise.all(clients.map((client) => client.told(1)));
  return { server, clients };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export const SCENARIOS: readonly Scenario[] = [
  served("listen, fork, accept in the child", "prefork", 1),
  served("accept, fork, serve in the child", "fork"),
  served("pre-fork on one listening socket", "prefork"),
  served("pre-fork on SO_REUSEPORT", "reuseport"),
  served("accepted, passed by SCM_RIGHTS, served elsewhere", "pass"),
  under("accepted, passed to nobody", async (yard) => {
    const port = await yard.start(["serve", "abandon", HOST, 0, 1]).port;
    await yard.finish(["connect", "wait", HOST, port, 10]);
  }),
  served("inetd: socket on stdin, exit without close", "inetd"),
  served("threads, the leader gone", "threads"),
  {
    name: "accept blocked before the agent started",
    begin: async (yard) => {
      const port = await yard.start(["serve", "prefork", HOST, 0, SERVERS]).port;
      return async () => {
        for (let i = 0; i < 2; i++) await yard.finish(["connect", "close", HOST, port, CONNECTIONS / 2]);
      };
    },
  },
  {
    name: "open before the agent started",
    begin: async (yard) => {
      const { server, clients } = await hold(yard, "hold");
      return async () => {
        await Promise.all(clients.map((client) => client.kill("SIGKILL")));
        await server.kill("SIGKILL");
      };
    },
  },
  {
    name: "waiting for accept when the agent started",
    begin: async (yard) => {
      const server = yard.start(["serve", "late", HOST, 0, 1]);
      const port = await server.port;
      const clients = Array.from({ length: HOLDERS }, () => yard.start(["connect", "close", HOST, port, 1]));
      await Promise.all(clients.map((client) => client.told(1)));
      return async () => {
        server.signal("SIGUSR1");
        await Promise.all(clients.map((client) => client.succeeded()));
        await server.told(HOLDERS);
      };
    },
  },
  under("processes that live under 1 ms", async (yard) => {
    const port = await yard.start(["serve", "loop", HOST, 0, 1]).port;
    await yard.finish(["repeat", CONNECTIONS, 0, ...twice([yard.program, "flash", HOST, String(port)])]);
  }),
  under("one process id, two programs by turns", async (yard) => {
    const port = await yard.start(["serve", "loop", HOST, 0, 1]).port;
    const other = await yard.copyProgram("other");
    const groups = [await cgroupFolder(yard, "skyfall-test-one"), await cgroupFolder(yard, "skyfall-test-two")];
    const programs = [yard.program, other].map((program, i) => [program, "in", `${groups[i]}/cgroup.procs`, "flash", HOST, String(port)]);
    const pid = Number(await Deno.readTextFile("/proc/sys/kernel/pid_max")) - 7; // free, on all but the busiest hosts
    await yard.finish(["repeat", CONNECTIONS, pid, ...programs.flat()]);
  }),
  under("exec after connect", async (yard) => {
    const { clients, server } = await hold(yard, "exec");
    await pause(1_500);
    await Promise.all(clients.map((client) => client.kill("SIGKILL")));
    await server.kill("SIGKILL");
  }),
  under("server killed, connections open", async (yard) => {
    const { server, clients } = await hold(yard, "hold");
    await server.kill("SIGKILL");
    await pause(100);
    await Promise.all(clients.map((client) => client.kill("SIGKILL")));
  }),
  under("client killed, connections open", async (yard) => {
    const { server, clients } = await hold(yard, "hold");
    await Promise.all(clients.map((client) => client.kill("SIGKILL")));
    await server.kill("SIGKILL");
  }),
  under("reset by the peer, then closed", async (yard) => {
    const server = yard.start(["serve", "prefork", HOST, 0, SERVERS]);
    await yard.finish(["connect", "reset", HOST, await server.port, CONNECTIONS]);
    await server.told(CONNECTIONS);
  }),
  under("reset by the peer, then held for 3 s", async (yard) => {
    const { server } = await hold(yard, "reset-late");
    await pause(3_000);
    await server.kill("SIGKILL");
  }),
  under("clients in threads, the leader gone", async (yard) => {
    const port = await yard.start(["serve", "prefork", HOST, 0, SERVERS]).port;
    await yard.finish(["threads", HOST, port, CONNECTIONS]);
  }),
  under("two containers over veth", async (yard) => {
    await using server = await Container.create(yard, "a"), client = await Container.create(yard, "b");
    await client.join(server);
    const port = await server.start(["serve", "prefork", server.address, 0, SERVERS]).port;
    await client.start(["connect", "close", server.address, port, CONNECTIONS]).succeeded();
  }),
];

function twice(words: readonly string[]): string[] {
  return [...words, ...words];
}
