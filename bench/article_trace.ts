/**
 * A fleet's minute as the article tells of it: services of several instances that call each other, most of their connections
 * short, some kept open and told of every ten seconds, both ends reported.
 *
 * The article gives three rates: 12 M events a second in, 1.4 M messages out, and 70 % fewer messages than by 5-tuple. So
 * there are 2.6 events to a 5-tuple in a window, and 8.6 to a 4-tuple. `MEAN_SHORT` and `KEPT_OPEN` are set so that the trace
 * has the same; the shape around that is what the article does not tell, and taken from RPC fleets at large: few services
 * are called by very many (fan-in by Zipf), and connections between two instances are spread log-normally. An instance calls
 * every instance of a service that it depends on, as clients that balance load do; so a host tells of some 35 events a second,
 * as the article's hundreds of thousands of hosts do.
 */

import { randomNumbers } from "../lib/testdata/flow_batch.ts";
import type { EventFields } from "./flow_event.ts";

const SERVICES = 100, INSTANCES = 20, CALLEES = 6;
/** Of the pairs of instances that talk, so many keep a pool of connections open; the others open one for each call. */
const KEPT_OPEN = 0.236, POOL_CONNECTIONS = 4, REPORTS_A_MINUTE = 6;
const MEAN_SHORT = 2.55;
const FLEET_ADDRESSES = 4_096;
const MINUTE_US = 60_000_000;

/** An event, and which host and process tell of it. */
export interface TraceEvent extends EventFields {
  /** Instance that reports, unique in the fleet. */
  readonly reporter: number;
}

/** Events of the minute that begins at `minuteUnixUs`, in no order of time; fleets have hosts of their own. */
export function* traceMinute(seed: number, minuteUnixUs: number, fleet = 0): Generator<TraceEvent> {
  const random = randomNumbers(seed);
  for (let service = 0; service < SERVICES; service++) {
    for (let instance = 0; instance < INSTANCES; instance++) {
      for (let call = 0; call < CALLEES; call++) {
        const callee = zipf(random);
        for (let i = 0; i < INSTANCES; i++) {
          yield* pair(fleet, service * INSTANCES + instance, callee * INSTANCES + i, random, minuteUnixUs);
        }
      }
    }
  }
}

/** One client instance and an instance of a service that it calls. */
function* pair(
  fleet: number,
  client: number,
  server: number,
  random: (below: number) => number,
  minuteUnixUs: number,
): Generator<TraceEvent> {
  const serverPort = 8_000 + Math.floor(server / INSTANCES);
  const isPool = random(1_000) < KEPT_OPEN * 1_000;
  const connections = isPool ? POOL_CONNECTIONS : logNormal(random);
  for (let i = 0; i < connections; i++) {
    const clientPort = 32_768 + random(28_232);
    for (let report = 0; report < (isPool ? REPORTS_A_MINUTE : 1); report++) {
      const startUnixUs = minuteUnixUs + (isPool ? report * MINUTE_US / REPORTS_A_MINUTE : random(MINUTE_US - 2_000_000));
      const fields = { client: address(fleet, client), server: address(fleet, server), clientPort, serverPort, startUnixUs };
      const amounts = { sentBytes: 200 + random(2_000), receivedBytes: 500 + random(20_000) };
      yield { ...fields, ...amounts, isServer: false, reporter: client };
      yield { ...fields, ...amounts, isServer: true, reporter: server };
    }
  }
}

function address(fleet: number, instance: number): number {
  return 0x0a00_0000 + fleet * FLEET_ADDRESSES + instance;
}

/** A service, the first ones far more often. */
function zipf(random: (below: number) => number): number {
  return Math.min(SERVICES - 1, Math.floor(SERVICES ** (random(1_000_000) / 1_000_000)) - 1);
}

/** Short connections of a pair in a minute: from one to hundreds, `MEAN_SHORT` on average. */
function logNormal(random: (below: number) => number): number {
  const sigma = 1.2, uniform = () => (random(1_000_000) + 1) / 1_000_001;
  const normal = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  return Math.max(1, Math.round(Math.exp(Math.log(MEAN_SHORT) - sigma ** 2 / 2 + sigma * normal)));
}
