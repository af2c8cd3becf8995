/** Encodes an agent's flows in lanes (lib/lanes.ts), each a stream of its own that can go its own way. */

import { LANE_SUB_AGENT, laneOf, laneSubAgent } from "../lib/lanes.ts";
import { SKYFALL_AGENT_LOSSES } from "../lib/sflow/skyfall.gen.ts";
import { type CounterRecord, counterRecord, type Datagram, DatagramEncoder, type DatagramSource } from "./encode.ts";
import { type Flow, ROLE } from "./flow.ts";
import type { ListenerReport } from "./listeners.ts";
import { NO_LOSSES } from "../lib/sflow/agent_losses.ts";

/** Flows that about fill a datagram. */
const DATAGRAM_FLOWS = 5;
/** Every so many reports of counters each lane tells what it lost, even where that has not changed. */
const LOSSES_REPORTS = 6;

/** A stream of its own, so that none of a lane's sequence numbers is missing where nobody listens. */
const PROBE_SUB_AGENT = laneSubAgent(LANE_SUB_AGENT.byteMask, LANE_SUB_AGENT.byteMask);

interface Lane {
  readonly subAgent: number;
  readonly encoder: DatagramEncoder;
  /** Flows that do not fill a datagram were left to wait once. */
  hasWaited: boolean;
  /** Records lost on sending, as last told. */
  toldUnsent: number;
}

/** What the agent lost; of what could not be sent each lane tells its own. */
export interface LaneLosses {
  /** Events lost at all other places together. */
  readonly otherDrops: number;
  /** Flow records in datagrams of a sub-agent that could not be sent. */
  readonly unsentOf: (subAgent: number) => number;
}

export class LanedEncoder {
  readonly #lanes: readonly Lane[];
  readonly #probes: DatagramEncoder;
  #counterReports = 0;

  constructor(source: DatagramSource, lanes: number) {
    this.#lanes = Array.from({ length: lanes }, (_, lane) => {
      const subAgent = laneSubAgent(lane, lanes);
      return { subAgent, encoder: new DatagramEncoder(source, subAgent), hasWaited: false, toldUnsent: -1 };
    });
    this.#probes = new DatagramEncoder(source, PROBE_SUB_AGENT);
  }

  /** `skyfall_flow` records made so far. */
  get flowRecordCount(): number {
    return this.#lanes.reduce((sum, { encoder }) => sum + encoder.flowRecordCount, 0);
  }

  /** Flows that were added and are not encoded yet. */
  get pendingFlowCount(): number {
    let sum = 0;
    for (const { encoder } of this.#lanes) sum += encoder.pendingFlowCount;
    return sum;
  }

  /** Takes in a flow for the next `flush()` of its lane; the object is not kept. */
  add(flow: Flow): void {
    const { transport_protocol, local_address, remote_address } = flow;
    const lane = laneOf(transport_protocol, local_address, remote_address, servicePort(flow), this.#lanes.length);
    this.#lanes[lane]!.encoder.add(flow);
  }

  /**
   * Encodes the flows in as many datagrams as they need. Those that do not fill one may wait for others until the next time.
   *
   * @param isAll Whether none may wait.
   */
  *flush(uptimeMs: number, { otherDrops, unsentOf }: LaneLosses, isAll: boolean): Generator<Datagram> {
    for (const [i, lane] of this.#lanes.entries()) {
      const { pendingFlowCount } = lane.encoder;
      if (!isAll && !lane.hasWaited && pendingFlowCount > 0 && pendingFlowCount < DATAGRAM_FLOWS) {
        lane.hasWaited = true;
        continue;
      }
      lane.hasWaited = false;
      yield* lane.encoder.flush(uptimeMs, unsentOf(lane.subAgent) + (i === 0 ? otherDrops : 0));
    }
  }

  /** Encodes listeners in as many datagrams as they need. */
  encodeListeners(listeners: readonly ListenerReport[], uptimeMs: number): Generator<Datagram> {
    return this.#lanes[0]!.encoder.encodeListeners(listeners, uptimeMs);
  }

  /** Encodes a datagram that tells nothing, to see whether somebody listens. */
  encodeProbe(uptimeMs: number): Datagram {
    return this.#probes.encodeCounters([], uptimeMs);
  }

  /**
   * Encodes the agent's counters, and for each lane what it could not send.
   *
   * @param recordsOf The records of lane 0, of which so many flow records could not be sent.
   */
  *encodeCounters(
    recordsOf: (unsent: number) => readonly CounterRecord[],
    uptimeMs: number,
    { unsentOf }: LaneLosses,
  ): Generator<Datagram> {
    const tellsAll = this.#counterReports++ % LOSSES_REPORTS === 0;
    for (const [i, lane] of this.#lanes.entries()) {
      const unsent = unsentOf(lane.subAgent);
      if (i === 0) yield lane.encoder.encodeCounters(recordsOf(unsent), uptimeMs);
      else if (tellsAll || unsent !== lane.toldUnsent) {
        yield lane.encoder.encodeCounters([counterRecord(SKYFALL_AGENT_LOSSES, { ...NO_LOSSES, send_lost_records: unsent })], uptimeMs);
      }
      lane.toldUnsent = unsent;
    }
  }
}

/** Where the role is unknown, the lower of the ports that are known, as collectors take it. */
function servicePort({ role, local_port, remote_port }: Flow): number {
  if (role === ROLE.client) return remote_port;
  if (role === ROLE.server) return local_port;
  return Math.min(local_port, remote_port) || Math.max(local_port, remote_port);
}
