/** Traffic's server: listens on as many ports as asked, over both address families, and prints its counts when stopped. */

import { HEAD_BYTES, noCounts, type PortCounts, receiveBytes, receiveExactly, sendZeros, THEN } from "./frames.ts";

const counts = new Map<number, PortCounts>();
const open = new Set<Promise<void>>();
const listeners: Deno.TcpListener[] = [];

async function serve(connection: Deno.TcpConn, count: PortCounts): Promise<void> {
  using _ = connection;
  count.connections++;
  const head = new Uint8Array(HEAD_BYTES);
  try {
    while (await receiveExactly(connection, head, count)) {
      const [bodyBytes, replyBytes, then] = new Uint32Array(head.buffer);
      await receiveBytes(connection, bodyBytes!, count);
      if (then === THEN.replyAfterEnd && await receiveExactly(connection, new Uint8Array(1), count)) {
        throw new Error("Cannot serve: bytes after a last request");
      }
      await sendZeros(connection, replyBytes!, count);
      if (then !== THEN.goOn) return;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
}

async function accept(listener: Deno.TcpListener, count: PortCounts): Promise<void> {
  for await (const connection of listener) {
    const served = serve(connection, count);
    open.add(served);
    served.finally(() => open.delete(served));
  }
}

for (let i = 0; i < Number(Deno.args[0]); i++) {
  const listener = Deno.listen({ hostname: "::", port: 0 });
  const count = noCounts();
  counts.set(listener.addr.port, count);
  listeners.push(listener);
  accept(listener, count);
}
Deno.addSignalListener("SIGTERM", async () => {
  for (const listener of listeners) listener.close();
  await Promise.all(open);
  console.log(JSON.stringify(Object.fromEntries(counts)));
  Deno.exit(0);
});
console.log(JSON.stringify([...counts.keys()]));
