/** Feeds broken datagrams to the collector's decoder and holds it to what must be true of any input. */

import { FlowTable } from "../../collector/aggregate.ts";
import { FlowFlusher } from "../../collector/flush.ts";
import { IdentityTable } from "../../collector/identities.ts";
import { FlowReceiver } from "../../collector/receive.ts";
import { DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import { makeSeeds } from "./datagrams.ts";
import { Mutator } from "./mutate.ts";
import { Random } from "./random.ts";

const SEEDS = 320;
/** Few, so that the table folds and drops, and identities are forgotten. */
const TABLE_ROWS = 2_048, IDENTITIES = 4_096, WINDOW_S = 60, PARTITIONS = 4;
const INPUTS_PER_FLUSH = 16_384;
/** Flushes of which one encodes the rows as messages; it takes longer than all else. */
const ENCODED_FLUSHES = 8;
const INPUTS_PER_CHECK = 4_096;
/** What memory may grow by in the second half of the inputs, where the first is enough to fill every table. */
const FILLING_INPUTS = 5_000_000, MEMORY_VARIES_BYTES = 64 * 1024 * 1024;

/** What an input has shown; `input` alone may not show it again, `index` of the same seed does. */
export class FuzzFailure extends Error {
  readonly index: number;
  readonly input: Uint8Array;

  constructor(index: number, input: Uint8Array, what: string, options: ErrorOptions = {}) {
    super(`Cannot accept input ${index}: ${what}`, options);
    this.index = index;
    this.input = input;
  }
}

export interface FuzzResult {
  readonly inputs: number;
  readonly malformed: number;
  readonly events: number;
  readonly refused: number;
  readonly rows: number;
  readonly dropped: number;
  readonly identityRounds: number;
}

/** Counts how far the walk goes. */
class WatchedReceiver extends FlowReceiver {
  samples = 0;
  records = 0;

  override onSample(tag: number, at: number, bytes: number): boolean {
    this.samples++;
    return super.onSample(tag, at, bytes);
  }

  override onRecord(sampleTag: number, tag: number, at: number, bytes: number): void {
    this.records++;
    super.onRecord(sampleTag, tag, at, bytes);
  }
}

/** The decoder with its tables; `events` is what has left them. */
class Target {
  readonly table = new FlowTable(TABLE_ROWS, WINDOW_S, 1);
  readonly identities = new IdentityTable(IDENTITIES);
  readonly flusher: FlowFlusher;
  readonly receiver: WatchedReceiver;
  events = 0;
  rows = 0;
  #flushes = 0;

  constructor() {
    this.flusher = new FlowFlusher(this.table, this.identities, WINDOW_S, PARTITIONS, {
      format: "arrow",
      takeLosses: () => [],
      isBlocked: () => false,
      onMessages: (messages) => {
        for (const { rows, events } of messages) {
          this.rows += rows;
          this.events += events;
        }
      },
    });
    this.receiver = new WatchedReceiver(this.table, this.identities, DEFAULT_ENTERPRISE, () => this.flusher.forgetIdentities());
  }

  flush(): void {
    this.table.nowUs = Date.now() * 1_000;
    if (this.#flushes++ % ENCODED_FLUSHES === 0) return this.flusher.flushAll();
    this.events += this.table.eventCount;
    this.rows += this.table.rowCount;
    for (const row of [...this.table.rows()]) this.table.remove(row);
  }

  /** What is wrong with the counts, or null. */
  findImbalance(): string | null {
    const { counts } = this.receiver;
    const accepted = counts.flow_records_received - counts.flow_records_refused + counts.standard_samples_received -
      counts.standard_samples_refused;
    const kept = this.events + this.table.eventCount + this.table.counts.dropped_events;
    return accepted === kept ? null : `${accepted} events accepted, ${kept} in the table, behind it or dropped`;
  }

  /** As above, of the counts by reason, which take longer to add up. */
  findWrongSum(): string | null {
    const { counts } = this.receiver;
    const sum = (byReason: Readonly<Record<string, number>>) => Object.values(byReason).reduce((total, count) => total + count, 0);
    if (sum(counts.refused) !== counts.flow_records_refused) return `refused adds up to ${sum(counts.refused)}`;
    if (sum(counts.standard_refused) !== counts.standard_samples_refused) {
      return `standard_refused adds up to ${sum(counts.standard_refused)}`;
    }
    return sum(counts.malformed) < counts.datagrams_malformed ? `malformed adds up to ${sum(counts.malformed)}` : null;
  }
}

/**
 * Runs inputs `first` to before `first + inputs` of a seed.
 *
 * @param onProgress Gets the number of inputs done, now and then.
 * @throws {FuzzFailure} If the decoder throws, walks further than an input has words, misses a sample whose neighbour is
 * broken, loses count of an event, or takes more and more memory.
 */
export function fuzz(seed: number, inputs: number, first = 0, onProgress: (done: number) => void = () => {}): FuzzResult {
  const random = new Random(seed);
  const mutator = new Mutator(makeSeeds(SEEDS, random), random), target = new Target();
  let warmBytes = Infinity;
  target.flush();
  for (let index = first; index < first + inputs; index++) {
    random.restart(seed, index);
    mutator.make(index >>> 0);
    const problem = runInput(target, mutator, index) ?? ((index + 1) % INPUTS_PER_CHECK === 0 ? target.findWrongSum() : null);
    if (problem !== null) throw new FuzzFailure(index, mutator.bytes.slice(0, mutator.length), problem);
    if ((index + 1) % INPUTS_PER_CHECK === 0) onProgress(index + 1 - first);
    if ((index + 1) % INPUTS_PER_FLUSH === 0) target.flush();
    if (index - first === Math.max(FILLING_INPUTS, inputs >> 1)) warmBytes = Deno.memoryUsage().rss;
  }
  target.flush();
  const grownBytes = Deno.memoryUsage().rss - warmBytes, last = first + inputs - 1;
  const problem = grownBytes > MEMORY_VARIES_BYTES ? `memory has grown by ${grownBytes} bytes in the second half` : target.findWrongSum();
  if (problem !== null) throw new FuzzFailure(last, mutator.bytes.slice(0, mutator.length), problem);
  const { counts } = target.receiver;
  return {
    inputs,
    malformed: counts.datagrams_malformed,
    events: target.events,
    refused: counts.flow_records_refused + counts.standard_samples_refused,
    rows: target.rows,
    dropped: target.table.counts.dropped_events,
    identityRounds: target.flusher.identityRounds,
  };
}

function runInput(target: Target, mutator: Mutator, index: number): string | null {
  const { receiver } = target, duplicated = receiver.counts.datagrams_duplicated;
  receiver.samples = receiver.records = 0;
  try {
    // A view of its own, so that reading beyond the datagram throws.
    receiver.receive(new DataView(mutator.bytes.buffer, 0, mutator.length), 0, mutator.length, false);
  } catch (error) {
    throw new FuzzFailure(index, mutator.bytes.slice(0, mutator.length), String(error), { cause: error });
  }
  const steps = receiver.samples + receiver.records;
  if (steps > mutator.length / 8) return `${steps} steps through ${mutator.length} bytes`;
  if (mutator.samplesKept >= 0 && receiver.samples !== mutator.samplesKept && receiver.counts.datagrams_duplicated === duplicated) {
    return `${receiver.samples} samples seen, ${mutator.samplesKept} are there`;
  }
  return target.findImbalance();
}
