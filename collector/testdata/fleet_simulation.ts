/**
 * A fleet of agents that send over a network which loses, doubles, reorders and delays, with what became of every datagram and
 * event known from the sender's side; for tests and benches. It models what netem does to each datagram, outages, agents that
 * restart while their last datagrams are on the way, losses of the agents themselves, and sequence numbers that wrap.
 */

import { NO_LOSSES } from "../../lib/sflow/agent_losses.ts";
import type { StreamTable } from "../streams.ts";

export interface FleetSettings {
  /** Flow records that all agents make. */
  readonly events: number;
  readonly agents: number;
  readonly seed: number;
}

/** What was made and what became of it, of all agents. */
export interface FleetTruth {
  datagramsSent: number;
  eventsMade: number;
  eventsArrived: number;
  received: number;
  lost: number;
  duplicated: number;
  reordered: number;
  restarted: number;
  stale: number;
  missingRecords: number;
  agentDrops: number;
  sendLostRecords: number;
}

/** Time between two datagrams of an agent. */
const ROUND_MS = 10;
/** Rounds that a datagram is on its way: at most 1.5 s, or long enough to be behind the window. */
const DELAY_ROUNDS = 150, STALE_ROUNDS_MIN = 1_100, STALE_ROUNDS_MAX = 2_000;
const WINDOW = 1_024;
const WHEEL_ROUNDS = 2_048;
const RUN_ROUNDS_MIN = 6_200, RUN_ROUNDS_MAX = 40_000, DOWN_ROUNDS_MAX = 500, OUTAGE_ROUNDS_MAX = 8_000;
/** Datagrams between two that tell the agent's losses. */
const COUNTERS_EVERY = 16;
const EVENTS_MAX = 20;
/** A straggler is sent when its agent has run for so long, and will for so long. */
const STALE_ROUNDS_CLEAR = 5_000;
/** Rounds at the start in which nothing is lost that the collector could not know of. */
const CALM_ROUNDS = 400;
/** Chances in 2^16, but for the one of an outage. */
const CHANCE = { loss: 655, duplicate: 655, reorder: 3_277, straggle: 7, sendFails: 65, ringLoses: 200, outageOneIn: 130_000 } as const;
const TRUTH_BITS = 8_192;

/** A run of an agent, from its start to its restart. */
interface Run {
  /** Wire number of the datagram before its first. */
  readonly offset: number;
  readonly startRound: number;
  readonly endRound: number;
  readonly seen: Uint32Array;
  number: number;
  pool: number;
  drops: number;
  sendLost: number;
  /** Records lost since the last sample that will arrive: by the network, and by the agent at sending. */
  tailNet: number;
  tailSend: number;
  /** Records that are known to be missing, as a later sample arrives. */
  gap: number;
  toldSendLost: number;
  toldDrops: number;
  highest: number;
  received: number;
  outageEnd: number;
  stragglerEnd: number;
}

interface Agent {
  readonly address: DataView;
  readonly subAgentId: number;
  run: Run;
  previous: Run | null;
}

/** Datagrams on their way, in lists by the round in which they arrive. */
class Flight {
  readonly heads = new Int32Array(WHEEL_ROUNDS).fill(-1);
  readonly #free: number[] = [];
  readonly next: number[] = [];
  readonly agent: number[] = [];
  readonly run: Run[] = [];
  /** Number, uptime, records (-1: counters), pool or send_lost_records, drops. */
  readonly fields: number[] = [];

  send(round: number, agent: number, run: Run, uptimeMs: number, records: number, told: number, drops: number): void {
    const at = this.#free.pop() ?? this.next.length;
    this.next[at] = this.heads[round % WHEEL_ROUNDS]!;
    this.agent[at] = agent;
    this.run[at] = run;
    this.fields[5 * at] = run.number;
    this.fields[5 * at + 1] = uptimeMs;
    this.fields[5 * at + 2] = records;
    this.fields[5 * at + 3] = told;
    this.fields[5 * at + 4] = drops;
    this.heads[round % WHEEL_ROUNDS] = at;
  }

  free(at: number): void {
    this.#free.push(at);
  }
}

export class FleetSimulation {
  readonly truth: FleetTruth = {
    datagramsSent: 0,
    eventsMade: 0,
    eventsArrived: 0,
    received: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    restarted: 0,
    stale: 0,
    missingRecords: 0,
    agentDrops: 0,
    sendLostRecords: 0,
  };
  /** Events in the datagrams that the table's streams took for new. */
  eventsTaken = 0;
  readonly #settings: FleetSettings;
  readonly #table: StreamTable;
  readonly #agents: Agent[];
  readonly #flight = new Flight();
  readonly #startMs: number;
  /** Events by which the end is too near for a straggler to be one. */
  readonly #lastStragglerEvents: number;
  #random: number;
  #round = 0;

  constructor(settings: FleetSettings, table: StreamTable) {
    this.#settings = settings;
    this.#table = table;
    this.#startMs = table.nowMs;
    this.#lastStragglerEvents = settings.events - STALE_ROUNDS_CLEAR * settings.agents * EVENTS_MAX / 2;
    this.#random = settings.seed | 0;
    this.#agents = Array.from({ length: settings.agents }, (_, i) => {
      const address = new DataView(new ArrayBuffer(4));
      address.setUint32(0, 0x0a00_0000 + (i >> 2));
      // Some wrap early in their life.
      return { address, subAgentId: i & 3, run: this.#newRun(i % 3 === 0 ? 2 ** 32 - 1 - this.#below(20_000) : this.#below(2 ** 32), 0), previous: null };
    });
  }

  /** Sends and delivers until all events are made and nothing is on its way. */
  run(onProgress: (events: number) => void = () => {}): void {
    for (; this.truth.eventsMade < this.#settings.events; this.#round++) {
      for (let i = 0; i < this.#agents.length; i++) this.#send(i, this.#agents[i]!);
      this.#deliver();
      if (this.#round % 1_000 === 0) onProgress(this.truth.eventsMade);
    }
    for (let left = 0; left < WHEEL_ROUNDS; left++, this.#round++) this.#deliver();
    for (const { run, previous } of this.#agents) {
      this.#end(run);
      if (previous !== null) this.#end(previous);
    }
  }

  /** Truth beside what the table's streams say, by counter. */
  compare(): { readonly name: string; readonly truth: number; readonly counted: number }[] {
    const counts = this.#table.counts(), truth = this.truth;
    const names = ["received", "lost", "duplicated", "reordered", "restarted", "stale", "missingRecords", "agentDrops"] as const;
    return [
      ...names.map((name) => ({ name, truth: truth[name], counted: counts[name] })),
      { name: "sendLostRecords", truth: truth.sendLostRecords, counted: counts.agentLosses.send_lost_records },
      { name: "eventsArrived", truth: truth.eventsArrived, counted: this.eventsTaken },
    ];
  }

  #newRun(offset: number, startRound: number): Run {
    const endRound = startRound + RUN_ROUNDS_MIN + this.#below(RUN_ROUNDS_MAX - RUN_ROUNDS_MIN);
    const seen = new Uint32Array(TRUTH_BITS / 32);
    const counts = { number: 0, pool: 0, drops: 0, sendLost: 0, tailNet: 0, tailSend: 0, gap: 0, toldSendLost: 0, toldDrops: 0 };
    return { offset, startRound, endRound, seen, ...counts, highest: 0, received: 0, outageEnd: 0, stragglerEnd: 0 };
  }

  #send(index: number, agent: Agent): void {
    const round = this.#round;
    if (round >= agent.run.endRound) {
      if (agent.previous !== null) this.#end(agent.previous);
      agent.previous = agent.run;
      agent.run = this.#newRun(0, round + this.#below(DOWN_ROUNDS_MAX));
    }
    const run = agent.run, truth = this.truth;
    if (round < run.startRound) return;
    run.number++;
    const isFirst = run.number === 1, isCalm = round < CALM_ROUNDS;
    const isCounters = run.number % COUNTERS_EVERY === 0;
    const records = isCounters ? -1 : isFirst ? 1 : this.#below(EVENTS_MAX + 1);
    if (!isCounters) {
      run.pool += records;
      truth.eventsMade += records;
    }
    if (this.#happens(CHANCE.ringLoses)) run.drops += 1 + this.#below(5);
    if (!isCalm && this.#happens(CHANCE.sendFails)) {
      run.sendLost += Math.max(0, records);
      run.drops += Math.max(0, records);
      run.tailSend += Math.max(0, records);
      return;
    }
    truth.datagramsSent++;
    const mayBreak = run.number > CALM_ROUNDS && round > run.stragglerEnd;
    if (mayBreak && this.#next() % CHANCE.outageOneIn === 0) run.outageEnd = round + this.#below(OUTAGE_ROUNDS_MAX);
    let arrives = this.#sendCopy(index, run, records, isFirst && round === 0);
    if (this.#happens(CHANCE.duplicate) && this.#sendCopy(index, run, records, false)) arrives = true;
    this.#settle(run, records, arrives);
  }

  /** Puts a copy on its way, or not; true where it will arrive in time. */
  #sendCopy(index: number, run: Run, records: number, isSafe: boolean): boolean {
    const round = this.#round;
    if (!isSafe && (round < run.outageEnd || this.#happens(CHANCE.loss))) return false;
    const isClear = round - run.startRound > STALE_ROUNDS_CLEAR && run.endRound - round > STALE_ROUNDS_CLEAR &&
      this.truth.eventsMade < this.#lastStragglerEvents;
    const isStraggler = isClear && this.#happens(CHANCE.straggle);
    const delay = isStraggler
      ? STALE_ROUNDS_MIN + this.#below(STALE_ROUNDS_MAX - STALE_ROUNDS_MIN)
      : this.#happens(CHANCE.reorder)
      ? this.#below(DELAY_ROUNDS)
      : 0;
    if (isStraggler) run.stragglerEnd = Math.max(run.stragglerEnd, round + delay);
    const uptimeMs = (round - run.startRound) * ROUND_MS;
    this.#flight.send(round + delay, index, run, uptimeMs, records, records < 0 ? run.sendLost : run.pool, run.drops);
    return !isStraggler;
  }

  /** What is known, or lost for good, by whether this datagram arrives in time. */
  #settle(run: Run, records: number, arrives: boolean): void {
    if (!arrives) {
      run.tailNet += Math.max(0, records);
    } else if (records < 0) {
      run.toldSendLost = run.sendLost;
    } else {
      run.gap += run.tailNet + run.tailSend;
      run.tailNet = run.tailSend = 0;
      run.toldDrops = run.drops;
    }
  }

  #deliver(): void {
    const flight = this.#flight, place = this.#round % WHEEL_ROUNDS;
    this.#table.nowMs = this.#startMs + this.#round * ROUND_MS;
    for (let at = flight.heads[place]!; at >= 0; at = flight.next[at]!) {
      const agent = this.#agents[flight.agent[at]!]!, run = flight.run[at]!, f = 5 * at;
      const number = flight.fields[f]!, records = flight.fields[f + 2]!, told = flight.fields[f + 3]!;
      this.#judge(run, number, records);
      const stream = this.#table.find(agent.address, 0, 4, agent.subAgentId);
      const arrival = stream.arrive((run.offset + number) >>> 0, flight.fields[f + 1]!, this.#table.nowMs);
      if (arrival !== "duplicate" && arrival !== "stale") {
        if (records < 0) stream.arriveLosses({ ...NO_LOSSES, send_lost_records: told });
        else {
          stream.arriveSample(told, records, flight.fields[f + 4]!);
          this.eventsTaken += records;
        }
      }
      flight.free(at);
    }
    flight.heads[place] = -1;
  }

  /** What a datagram that arrives is, by all that its run sent. */
  #judge(run: Run, number: number, records: number): void {
    const truth = this.truth;
    const word = number % TRUTH_BITS >> 5, bit = 1 << (number & 31);
    const isSeen = number <= run.highest && (run.seen[word]! & bit) !== 0;
    if (run.highest - number >= WINDOW) {
      truth.stale++;
      return;
    }
    if (isSeen) {
      truth.duplicated++;
      return;
    }
    if (run.received === 0 && run.startRound > 0) truth.restarted++;
    if (number < run.highest) truth.reordered++;
    for (let n = run.highest + 1; n < number; n++) run.seen[n % TRUTH_BITS >> 5]! &= ~(1 << (n & 31));
    run.seen[word]! |= bit;
    run.highest = Math.max(run.highest, number);
    truth.received++;
    truth.eventsArrived += Math.max(0, records);
    run.received++;
  }

  #end(run: Run): void {
    const truth = this.truth;
    truth.agentDrops += run.toldDrops;
    truth.sendLostRecords += run.toldSendLost;
    truth.lost += run.highest - run.received;
    truth.missingRecords += run.gap - run.toldSendLost;
  }

  #happens(chance: number): boolean {
    return this.#next() >>> 16 < chance;
  }

  #below(limit: number): number {
    return Math.floor(this.#next() / 2 ** 32 * limit);
  }

  /** mulberry32 */
  #next(): number {
    this.#random = this.#random + 0x6d2b_79f5 | 0;
    let t = Math.imul(this.#random ^ this.#random >>> 15, 1 | this.#random);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (t ^ t >>> 14) >>> 0;
  }
}
