/** Accounts for every datagram of every agent: lost, duplicated, reordered, restarted (serial numbers: RFC 1982). */

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
  /** Flow records that the agents made and that did not arrive, by sample_pool. */
  missingRecords: number;
  /** Events that the agents say they lost themselves. */
  agentDrops: number;
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

  addTo(total: StreamCounts): void {
    const span = this.#highest < 0 ? 0 : this.#highest - this.#first + 1;
    total.lost += this.#past.lost + span - this.#received;
    total.duplicated += this.#past.duplicated;
    total.reordered += this.#past.reordered;
    total.restarted += this.#past.restarted;
    total.stale += this.#past.stale;
    total.missingRecords += this.#past.missingRecords + this.#missingRecords();
    total.agentDrops += this.#past.agentDrops + this.#drops;
  }

  #missingRecords(): number {
    return this.#poolBase < 0 ? 0 : this.#poolHighest - this.#poolBase - this.#records;
  }

  #begin(sequenceNumber: number, uptimeMs: number, arrival: Arrival): Arrival {
    this.#seen.fill(0);
    this.#highest = this.#first = sequenceNumber;
    this.#set(sequenceNumber);
    this.#received = 1;
    this.#uptimeMs = uptimeMs;
    this.#poolBase = -1;
    this.#poolHighest = this.#records = this.#drops = 0;
    return arrival;
  }

  #restart(sequenceNumber: number, uptimeMs: number): Arrival {
    const now = emptyCounts();
    this.addTo(now);
    const { lost, missingRecords, agentDrops } = now;
    Object.assign(this.#past, { lost, missingRecords, agentDrops });
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

  counts(): StreamCounts {
    const total = emptyCounts();
    for (const stream of this.#streams.values()) stream.addTo(total);
    return total;
  }
}

function emptyCounts(): StreamCounts {
  return { lost: 0, duplicated: 0, reordered: 0, restarted: 0, stale: 0, missingRecords: 0, agentDrops: 0 };
}

/** Numbers may be negative: before a first one of 0 that was reordered across the wrap. */
function wordOf(number: number): number {
  return ((number % WINDOW_DATAGRAMS) + WINDOW_DATAGRAMS) % WINDOW_DATAGRAMS >> 5;
}

function bitOf(number: number): number {
  return 1 << (((number % 32) + 32) % 32);
}
