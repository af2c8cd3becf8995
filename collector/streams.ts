/** Accounts for every datagram of every agent: lost, duplicated, reordered, restarted (serial numbers: RFC 1982). */

import { formatAddress } from "../lib/ip_address.ts";
import type { SKYFALL_AGENT_LOSSES } from "../lib/sflow/skyfall.gen.ts";
import type { AgentStream } from "./question.ts";

/** `skyfall_agent_losses`: what an agent lost, by place. */
export type AgentLosses = Readonly<Record<keyof typeof SKYFALL_AGENT_LOSSES.fields, number>>;

/** Datagrams behind the newest that can still be told apart from duplicates. */
const WINDOW_DATAGRAMS = 1_024;
const WINDOW_WORDS = WINDOW_DATAGRAMS / 32;
const HALF_RANGE = 0x8000_0000;
/** A datagram whose sender's uptime lies this far behind was not reordered: its sender is younger. */
const RESTART_MARGIN_MS = 2_000;
const STREAMS_MAX = 65_536;

/** What a datagram turned out to be. */
export type Arrival = "new" | "reordered" | "duplicate" | "restart" | "stale" | "untracked";

/** Totals of one or of all streams. */
export interface StreamCounts {
  /** Sequence numbers that never came, of the datagrams that the window has passed or that are missing in it now. */
  lost: number;
  duplicated: number;
  reordered: number;
  restarted: number;
  /** Too old to be told apart from a duplicate. */
  stale: number;
  /** Flow records that the agents sent and that did not arrive: those missing by sample_pool that are in no agent's drops. */
  missingRecords: number;
  /** Events that the agents say they lost themselves. */
  agentDrops: number;
  /** The same by place, as last told; all 0 where an agent does not tell. */
  agentLosses: AgentLosses;
  /** Connections that the kernels counted otherwise than the agents, persistently, as last told. */
  agentUnreconciled: number;
}

/** One (agent address, sub-agent): the unit of sFlow's datagram sequence. */
export class Stream {
  /** Sequence numbers seen, by number modulo the window. */
  readonly #seen = new Uint32Array(WINDOW_WORDS);
  #highest = -1;
  #first = 0;
  #received = 0;
  #uptimeMs = 0;
  #poolBase = -1;
  #poolHighest = 0;
  #records = 0;
  #drops = 0;
  #losses = NO_LOSSES;
  /** What of the losses was before the first sample that came, as far as is known. */
  #sendLostBefore = -1;
  #unreconciled = 0;
  readonly #past: StreamCounts = emptyCounts();

  /** Takes in the sequence number of a datagram that arrived. */
  arrive(sequenceNumber: number, uptimeMs: number): Arrival {
    if (this.#highest < 0) return this.#begin(sequenceNumber, uptimeMs, "new");
    const ahead = (sequenceNumber - this.#highest) >>> 0;
    if (ahead !== 0 && ahead < HALF_RANGE) {
      this.#advance(this.#highest + ahead);
      this.#uptimeMs = uptimeMs;
      this.#received++;
      return "new";
    }
    const behind = (this.#highest - sequenceNumber) >>> 0;
    const number = this.#highest - behind;
    if (uptimeMs + RESTART_MARGIN_MS < this.#uptimeMs) return this.#restart(sequenceNumber, uptimeMs);
    if (behind >= WINDOW_DATAGRAMS || number < this.#first - WINDOW_DATAGRAMS) {
      this.#past.stale++;
      return "stale";
    }
    if (this.#has(number)) {
      this.#past.duplicated++;
      return "duplicate";
    }
    this.#set(number);
    this.#first = Math.min(this.#first, number);
    this.#received++;
    this.#past.reordered++;
    return "reordered";
  }

  /** Takes in a sample of our own records: how many flow records the agent has made by then, and how many are in it. */
  arriveSample(samplePool: number, records: number, drops: number): void {
    if (this.#poolBase < 0) this.#poolBase = this.#poolHighest = samplePool - records;
    const ahead = (samplePool - this.#poolHighest) | 0;
    this.#poolHighest += Math.max(0, ahead);
    // A sample from before the first one that came: it moves the base, not the end.
    this.#poolBase = Math.min(this.#poolBase, this.#poolHighest + ahead - records);
    this.#records += records;
    this.#drops = Math.max(this.#drops, drops);
  }

  /** Takes in what the agent lost since it started. */
  arriveLosses(losses: AgentLosses): void {
    if (this.#sendLostBefore < 0) this.#sendLostBefore = losses.send_lost_records;
    this.#losses = combine(this.#losses, losses, Math.max); // an older record may come later
  }

  arriveReconciliation(unreconciled: number): void {
    this.#unreconciled = unreconciled;
  }

  /** Datagrams since the agent's last restart, each once. */
  get received(): number {
    return this.#received;
  }

  addTo(total: StreamCounts): void {
    const span = this.#highest < 0 ? 0 : this.#highest - this.#first + 1;
    total.lost += this.#past.lost + span - this.#received;
    total.duplicated += this.#past.duplicated;
    total.reordered += this.#past.reordered;
    total.restarted += this.#past.restarted;
    total.stale += this.#past.stale;
    total.missingRecords += this.#past.missingRecords + this.#missingRecords();
    total.agentDrops += this.#past.agentDrops + this.#drops;
    total.agentLosses = combine(total.agentLosses, combine(this.#past.agentLosses, this.#losses, add), add);
    total.agentUnreconciled += this.#past.agentUnreconciled + this.#unreconciled;
  }

  /** What the agent could not send is missing too, but told as a loss of its own. */
  #missingRecords(): number {
    if (this.#poolBase < 0) return 0;
    const unsent = Math.max(0, this.#losses.send_lost_records - Math.max(0, this.#sendLostBefore));
    return Math.max(0, this.#poolHighest - this.#poolBase - this.#records - unsent);
  }

  #begin(sequenceNumber: number, uptimeMs: number, arrival: Arrival): Arrival {
    this.#seen.fill(0);
    this.#highest = this.#first = sequenceNumber;
    this.#set(sequenceNumber);
    this.#received = 1;
    this.#uptimeMs = uptimeMs;
    this.#poolBase = -1;
    this.#poolHighest = this.#records = this.#drops = 0;
    this.#losses = NO_LOSSES;
    this.#sendLostBefore = -1;
    this.#unreconciled = 0;
    return arrival;
  }

  #restart(sequenceNumber: number, uptimeMs: number): Arrival {
    const now = emptyCounts();
    this.addTo(now);
    const { lost, missingRecords, agentDrops, agentLosses, agentUnreconciled } = now;
    Object.assign(this.#past, { lost, missingRecords, agentDrops, agentLosses, agentUnreconciled });
    this.#past.restarted++;
    return this.#begin(sequenceNumber, uptimeMs, "restart");
  }

  #advance(to: number): void {
    if (to - this.#highest >= WINDOW_DATAGRAMS) this.#seen.fill(0);
    else for (let number = this.#highest + 1; number < to; number++) this.#clear(number);
    this.#highest = to;
    this.#set(to);
  }

  #has(number: number): boolean {
    return number >= this.#first && (this.#seen[wordOf(number)]! & bitOf(number)) !== 0;
  }

  #set(number: number): void {
    this.#seen[wordOf(number)]! |= bitOf(number);
  }

  #clear(number: number): void {
    this.#seen[wordOf(number)]! &= ~bitOf(number);
  }
}

/** Streams by agent. Their number is bounded: what comes from more agents is taken in, but not accounted for. */
export class StreamTable {
  readonly #streams = new Map<string, Stream>();
  untrackedDatagrams = 0;

  /** The stream of an agent, or null where there are too many. */
  find(key: string): Stream | null {
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      if (this.#streams.size >= STREAMS_MAX) {
        this.untrackedDatagrams++;
        return null;
      }
      stream = new Stream();
      this.#streams.set(key, stream);
    }
    return stream;
  }

  /** Each stream, as it is told to people. */
  *snapshots(): Generator<AgentStream> {
    for (const [key, stream] of this.#streams) {
      const counts = emptyCounts();
      stream.addTo(counts);
      const [address, subAgentId] = key.split("/");
      yield {
        agent_address: addressText(address!.split(":").map(Number)),
        sub_agent_id: Number(subAgentId),
        datagrams_received: stream.received,
        datagrams_lost: counts.lost,
        datagrams_duplicated: counts.duplicated,
        datagrams_reordered: counts.reordered,
        restarts: counts.restarted,
        flow_records_missing: counts.missingRecords,
        agent_dropped_events: counts.agentDrops,
      };
    }
  }

  counts(): StreamCounts {
    const total = emptyCounts();
    for (const stream of this.#streams.values()) stream.addTo(total);
    return total;
  }
}

export const NO_LOSSES: AgentLosses = {
  ring_lost_events: 0,
  map_full_sockets: 0,
  missed_hook_runs: 0,
  udp_lost_datagrams: 0,
  udp_missed_calls: 0,
  governor_dropped_flows: 0,
  send_lost_records: 0,
};

export function emptyCounts(): StreamCounts {
  return {
    lost: 0,
    duplicated: 0,
    reordered: 0,
    restarted: 0,
    stale: 0,
    missingRecords: 0,
    agentDrops: 0,
    agentLosses: NO_LOSSES,
    agentUnreconciled: 0,
  };
}

/** The losses of every place, two and two. */
export function combine(a: AgentLosses, b: AgentLosses, by: (x: number, y: number) => number): AgentLosses {
  return {
    ring_lost_events: by(a.ring_lost_events, b.ring_lost_events),
    map_full_sockets: by(a.map_full_sockets, b.map_full_sockets),
    missed_hook_runs: by(a.missed_hook_runs, b.missed_hook_runs),
    udp_lost_datagrams: by(a.udp_lost_datagrams, b.udp_lost_datagrams),
    udp_missed_calls: by(a.udp_missed_calls, b.udp_missed_calls),
    governor_dropped_flows: by(a.governor_dropped_flows, b.governor_dropped_flows),
    send_lost_records: by(a.send_lost_records, b.send_lost_records),
  };
}

function add(a: number, b: number): number {
  return a + b;
}

/** Text of an address of one word (IPv4) or four. */
function addressText(words: readonly number[]): string {
  const bytes = new DataView(new ArrayBuffer(16));
  (words.length === 4 ? words : [0, 0, 0xffff, ...words]).forEach((word, i) => bytes.setUint32(4 * i, word));
  return formatAddress(new Uint8Array(bytes.buffer));
}

/** Numbers may be negative: before a first one of 0 that was reordered across the wrap. */
function wordOf(number: number): number {
  return ((number % WINDOW_DATAGRAMS) + WINDOW_DATAGRAMS) % WINDOW_DATAGRAMS >> 5;
}

function bitOf(number: number): number {
  return 1 << (((number % 32) + 32) % 32);
}
