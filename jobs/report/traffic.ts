/** Rates over the time of a report, in so many steps as a plot has room for. */

import type { Engine } from "../portable_sql.ts";
import type { Traffic } from "./report_data.ts";

const MINUTE_MS = 60_000;
const STEPS_MAX = 300;
const STEP_MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1_440];
/** Servers with a colour of their own. */
const SERVERS_MAX = 8;
const OTHERS = "all others";

/** Milliseconds since 1970 UTC of the first conversation's minute, and of the end of the last one's. */
export async function coveredTime(engine: Engine): Promise<{ readonly fromMs: number; readonly toMs: number }> {
  const [row] = (await engine.table("select epoch_ms(min(minute)) as first, epoch_ms(max(minute)) as last from named_conversation")).rows;
  if (row?.["first"] == null) return { fromMs: 0, toMs: 0 };
  return { fromMs: Number(row["first"]), toMs: Number(row["last"]) + MINUTE_MS };
}

/** Traffic of named_conversation between two times. */
export async function traffic(engine: Engine, fromMs: number, toMs: number): Promise<Traffic> {
  const needed = (toMs - fromMs) / MINUTE_MS / STEPS_MAX;
  const stepMs = (STEP_MINUTES.find((minutes) => minutes >= needed) ?? Math.ceil(needed / 1_440) * 1_440) * MINUTE_MS;
  const steps = Math.ceil((toMs - fromMs) / stepMs), step = `(epoch_ms(minute) - ${fromMs}) // ${stepMs}`;
  const sums = await engine.table(`
    select ${step} as step, cast(sum(connections) as bigint) as connections,
      cast(sum(failed_refused + failed_timeout + failed_unreachable + failed_other) as bigint) as failed,
      cast(sum(client_retransmits + server_retransmits) as bigint) as retransmits
    from named_conversation group by all`);
  const ofSteps = (name: string): number[] => {
    const rates = new Array<number>(steps).fill(0);
    for (const row of sums.rows) rates[Number(row["step"])] = rate(Number(row[name]), stepMs);
    return rates;
  };
  return {
    stepMs,
    servers: await serverRates(engine, step, steps, stepMs),
    connectionsPerSecond: ofSteps("connections"),
    failedPerSecond: ofSteps("failed"),
    retransmitsPerSecond: ofSteps("retransmits"),
  };
}

async function serverRates(engine: Engine, step: string, steps: number, stepMs: number): Promise<Traffic["servers"]> {
  const { rows } = await engine.table(`
    with servers as (
      select server_service, row_number() over (order by sum(tx_bytes + rx_bytes) desc, server_service) as rank
      from named_conversation group by server_service
    )
    select least(s.rank, ${SERVERS_MAX + 1}) as place, ${step} as step,
      min(case when s.rank <= ${SERVERS_MAX} then s.server_service end) as server_service,
      cast(sum(tx_bytes + rx_bytes) as bigint) as bytes
    from named_conversation n join servers s on s.server_service = n.server_service
    group by all order by place`);
  const servers = new Map<number, { readonly name: string; readonly bytesPerSecond: number[] }>();
  for (const row of rows) {
    const place = Number(row["place"]), name = row["server_service"];
    let server = servers.get(place);
    if (server === undefined) {
      server = { name: name === null ? OTHERS : String(name), bytesPerSecond: new Array<number>(steps).fill(0) };
      servers.set(place, server);
    }
    server.bytesPerSecond[Number(row["step"])] = rate(Number(row["bytes"]), stepMs);
  }
  return [...servers.values()];
}

/** To three digits, as nobody reads more in a plot. */
function rate(amount: number, stepMs: number): number {
  return Number((amount * 1_000 / stepMs).toPrecision(3));
}
