/** Traffic's client: opens connections of every kind and family, and prints its counts, by port, when it is done. */

import { connect } from "node:net";
import { encodeRequest, noCounts, type PortCounts, receiveBytes, type Request, sendAll, THEN } from "./frames.ts";
import { type ClientOrder, HOSTS, type Plan } from "./plan.ts";

/** Requests of a connection that lives as long as the client. */
const LONG_PAUSE_MS = 50;
const LARGE_BYTES = 1 << 20;

const order = JSON.parse(Deno.args[0]!) as ClientOrder;
const counts = new Map<number, PortCounts>(order.plans.map(({ port }) => [port, noCounts()]));
let done = false;

async function ask(connection: Deno.Conn, request: Request, count: PortCounts): Promise<void> {
  await sendAll(connection, encodeRequest(request), count);
  if (request.then === THEN.replyAfterEnd) await (connection as Deno.TcpConn).closeWrite();
  await receiveBytes(connection, request.replyBytes, count);
}

/** Holds one connection, or none where it is refused; `index` makes sizes differ. */
async function hold({ kind, family, port }: Plan, index: number): Promise<void> {
  const count = counts.get(port)!;
  const request: Request = { bodyBytes: index % 1_000, replyBytes: (index * 7) % 3_000, then: THEN.goOn };
  if (kind === "reset") return await holdAndReset(HOSTS[family], port, request, count);
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname: HOSTS[family], port });
  } catch (error) {
    if (kind !== "refused" || !(error instanceof Deno.errors.ConnectionRefused)) throw error;
    count.refused++;
    return;
  }
  using _ = connection;
  count.connections++;
  if (kind === "half-closed") return await ask(connection, { ...request, then: THEN.replyAfterEnd }, count);
  if (kind === "server-closes") {
    await ask(connection, { ...request, then: THEN.close }, count);
    if (await connection.read(new Uint8Array(1)) !== null) throw new Error("Cannot hold connection: bytes after the last reply");
    return;
  }
  if (kind === "large") {
    return await ask(connection, { ...request, bodyBytes: LARGE_BYTES + index, replyBytes: LARGE_BYTES - index }, count);
  }
  await ask(connection, request, count);
  while (kind === "long" && !done) {
    await new Promise((resolve) => setTimeout(resolve, LONG_PAUSE_MS));
    await ask(connection, request, count);
  }
}

/** Everything is read before the reset, so that both ends count the same. */
function holdAndReset(host: string, port: number, request: Request, count: PortCounts): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host, port });
  const bytes = encodeRequest({ ...request, replyBytes: request.replyBytes + 1 });
  let left = request.replyBytes + 1;
  socket.on("error", reject);
  socket.on("connect", () => {
    count.connections++;
    count.sent_bytes += bytes.length;
    socket.write(bytes);
  });
  socket.on("data", (data) => {
    count.received_bytes += data.length;
    left -= data.length;
    if (left === 0) socket.resetAndDestroy();
  });
  socket.on("close", () => resolve());
  return promise;
}

/** Takes the plans in turn until all are held: at most `concurrency` at once, and where a rate is set, no faster. */
async function holdAll(plans: readonly Plan[]): Promise<void> {
  const startMs = performance.now();
  let next = 0;
  const one = async () => {
    for (let index = next++; index < order.connections; index = next++) {
      if (order.perSecond > 0) {
        const waitMs = startMs + index * 1_000 / order.perSecond - performance.now();
        if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      await hold(plans[index % plans.length]!, index);
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, one));
}

const isLong = ({ kind }: Plan) => kind === "long";
const long = order.plans.filter(isLong).flatMap((plan) => Array.from({ length: order.longPerPlan }, (_, i) => hold(plan, i)));
await holdAll(order.plans.filter((plan) => !isLong(plan)));
done = true;
await Promise.all(long);
console.log(JSON.stringify(Object.fromEntries(counts)));
