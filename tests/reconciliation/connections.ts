/**
 * Makes connections over loopback for a test, as its lines of input say, and prints a line when each is done:
 * "short N", "server-resets N", "refused N", "unreachable N", "unanswered ADDRESS", "hold N", "end". Arguments: none.
 */

import { TextLineStream } from "../../chain/text_line_stream.ts";

/** Connections made at a time, each by a listener of its own. */
const LISTENERS = 16;
const NOBODY = { hostname: "127.0.0.1", port: 1 };

const listeners = Array.from({ length: LISTENERS }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
const held: Deno.Conn[] = [];

async function pair(worker: number): Promise<{ readonly client: Deno.TcpConn; readonly server: Deno.TcpConn }> {
  const listener = listeners[worker]!;
  const [client, server] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  return { client, server };
}

async function short(worker: number): Promise<void> {
  const { client, server } = await pair(worker);
  client.close();
  server.close();
}

/** Closed with a byte unread, the server's end sends a reset. */
async function serverResets(worker: number): Promise<void> {
  const { client, server } = await pair(worker);
  await client.write(new Uint8Array(2));
  await server.read(new Uint8Array(1));
  server.close();
  await client.read(new Uint8Array(1)).catch((error) => {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  });
  client.close();
}

async function fails(to: Deno.ConnectOptions): Promise<void> {
  await Deno.connect(to).then(() => {
    throw new Error(`Cannot fail to connect: ${to.hostname} answers`);
  }, (error: unknown) => {
    if (!(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NetworkUnreachable)) throw error;
  });
}

async function hold(worker: number): Promise<void> {
  const { client, server } = await pair(worker);
  held.push(client, server);
}

async function all(count: number, one: (worker: number) => Promise<void>): Promise<void> {
  let begun = 0;
  await Promise.all(listeners.map(async (_, worker) => {
    while (begun++ < count) await one(worker);
  }));
}

async function act([order, value]: readonly string[]): Promise<void> {
  const count = Number(value);
  if (order === "short") await all(count, short);
  else if (order === "server-resets") await all(count, serverResets);
  else if (order === "refused") await all(count, () => fails(NOBODY));
  else if (order === "unreachable") await all(count, () => fails({ hostname: "203.0.113.1", port: 9 }));
  else if (order === "hold") await all(count, hold);
  else if (order === "unanswered") void Deno.connect({ hostname: value!, port: 9 });
  else if (order === "end") { for (const connection of held.splice(0)) connection.close(); }
  else throw new SyntaxError(`Cannot make connections: "${order}" is no order`);
}

console.log("ready");
for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
  await act(line.split(" "));
  console.log(line);
}
Deno.exit(0);
