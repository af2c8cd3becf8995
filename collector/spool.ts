/**
 * The spool: messages on disk that the topic cannot take now, in order, within a bound; they outlive the collector.
 *
 * A folder holds segments of records, named by number, and `position.json`: up to where the topic has the messages, and which of
 * them are being published. What stands before the position is published, what stands behind what is being published is not;
 * of those between, only the topic knows.
 */

import { z } from "zod";
import { describeDisk, syncDirectory } from "../lib/durable_file.ts";
import { log } from "../lib/log.ts";
import type { RowMessage } from "./rows.ts";
import { checkSegment, encodedBytes, encodeRecords, readRecords } from "./spool_segment.ts";

const SUFFIX = ".spool";
const NUMBER_DIGITS = 10;
/** A segment is removed when all of it is published: some to a spool, so that room comes back early. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024, SEGMENTS_MIN = 8;
/** Values in one write. */
const WRITE_BYTES_MAX = 8 * 1024 * 1024;

const Place = z.object({ segment: z.number().int().positive(), offset: z.number().int().nonnegative() });
const Position = z.object({
  format: z.literal(1),
  partition_count: z.number().int().positive(),
  published: Place,
  publishing: z.object({ end: Place, topic_ends: z.record(z.string(), z.coerce.bigint()) }).nullable(),
});

/** A place between two records. */
export type SpoolPlace = z.infer<typeof Place>;

/** Ends of the topic's partitions at some time before messages were published. */
export type TopicEnds = ReadonlyMap<number, bigint>;

/** Messages that were being published when the collector before ended. */
export interface Interrupted {
  readonly end: SpoolPlace;
  readonly topicEnds: TopicEnds;
}

export interface SpoolBatch {
  readonly messages: RowMessage[];
  readonly end: SpoolPlace;
}

/** A spool that cannot be opened or read; the message names its folder and what to do. */
export class SpoolError extends Error {
  override readonly name = "SpoolError";
}

export class Spool implements AsyncDisposable {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #segmentBytesMax: number;
  readonly #lock: Deno.FsFile;
  readonly #segments = new Map<number, number>();
  #partitionCount: number | null;
  #published: SpoolPlace;
  #publishing: Interrupted | null;
  #writing: { readonly number: number; readonly file: Deno.FsFile } | null = null;
  #nextNumber: number;
  /** What the collector before left, and was publishing. */
  readonly interrupted: Interrupted | null;
  readonly recovered: { readonly messages: number; readonly events: number };
  /** Bytes that were no whole record: of a write that a crash cut, or damaged. */
  readonly cutBytes: number;
  failures = 0;
  #messages: number;
  /** What is done to the files is done one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, bytesMax: number, lock: Deno.FsFile, found: Found) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
    this.#segmentBytesMax = Math.min(SEGMENT_BYTES_MAX, bytesMax / SEGMENTS_MIN);
    this.#lock = lock;
    for (const { number, end } of found.segments) this.#segments.set(number, end);
    this.#partitionCount = found.partitionCount;
    this.#published = found.published;
    this.#nextNumber = found.nextNumber;
    this.interrupted = this.#publishing = found.interrupted;
    this.recovered = { messages: found.messages, events: found.events };
    this.cutBytes = found.cutBytes;
    this.#messages = found.messages;
  }

  /**
   * Opens a spool, and makes one where there is none.
   *
   * @throws {SpoolError} If another collector has it open, the disk fails, or its position cannot be read.
   */
  static async open(directory: string, bytesMax: number): Promise<Spool> {
    try {
      await Deno.mkdir(directory, { recursive: true });
      const lock = await Deno.open(`${directory}/lock`, { create: true, write: true });
      if (!await lock.tryLock(true)) {
        lock.close();
        throw new SpoolError(`Cannot open spool "${directory}": another collector has it open; give each a directory of its own`);
      }
      return new Spool(directory, bytesMax, lock, await find(directory));
    } catch (cause) {
      if (cause instanceof SpoolError) throw cause;
      throw new SpoolError(`Cannot open spool "${directory}": ${describeDisk(cause)}`, { cause });
    }
  }

  get isEmpty(): boolean {
    return this.#messages === 0;
  }

  /** Bytes on disk, with those of segments of which a part is published. */
  get bytes(): number {
    return this.#segments.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Where the last message ends. */
  get end(): SpoolPlace {
    const segment = Math.max(this.#published.segment, ...this.#segments.keys());
    return { segment, offset: this.#segments.get(segment) ?? 0 };
  }

  /** Partitions of the topic that the messages are for; null where nothing was ever spooled. */
  get partitionCount(): number | null {
    return this.#partitionCount;
  }

  /**
   * Appends messages in order, as many as there is room for.
   *
   * @returns How many are on stable storage: the first ones. Where the disk fails the others may be tried again.
   */
  append(messages: readonly RowMessage[], partitionCount: number): Promise<number> {
    return this.#alone(() => this.#append(messages, partitionCount));
  }

  /** The messages behind those that are published: up to `bytesMax` of them, or up to `end`, but at least one where there is one. */
  read(bytesMax: number, end: SpoolPlace | null = null): Promise<SpoolBatch> {
    return this.#alone(() => this.#read(bytesMax, end));
  }

  /**
   * Notes durably that the messages up to `end` are being published, to a topic that ended there or further on before. Where the
   * disk does not take the note, a crash before they are acknowledged may publish them twice.
   */
  async begin(end: SpoolPlace, topicEnds: TopicEnds): Promise<void> {
    await this.#alone(() => {
      this.#publishing = { end, topicEnds };
      return this.#tried("position not noted", () => this.#writePosition(this.#partitionCount!));
    });
  }

  /**
   * Takes the messages up to `end` as published, and removes segments of which nothing is left. The position is noted durably
   * with the next `begin()`; until then the topic tells.
   */
  acknowledge(end: SpoolPlace, messages: number): Promise<void> {
    return this.#alone(() => this.#acknowledge(end, messages));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#alone(async () => {
      this.#writing?.file.close();
      if (this.#partitionCount !== null) await this.#tried("position not noted", () => this.#writePosition(this.#partitionCount!));
      this.#lock.close();
    });
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#last.then(action);
    this.#last = done.catch(() => {}); // whoever asked is told
    return done;
  }

  async #append(messages: readonly RowMessage[], partitionCount: number): Promise<number> {
    let appended = 0;
    while (appended < messages.length) {
      const count = this.#fit(messages, appended);
      if (count === 0) break;
      const isAppended = await this.#tried("messages not spooled", async () => {
        if (this.#partitionCount !== partitionCount) await this.#writePosition(partitionCount);
        await this.#write(encodeRecords(messages.slice(appended, appended + count)));
      });
      if (!isAppended) break;
      appended += count;
      this.#messages += count;
    }
    return appended;
  }

  async #read(bytesMax: number, end: SpoolPlace | null): Promise<SpoolBatch> {
    const messages: RowMessage[] = [];
    let place = this.#published, bytes = 0;
    for (const number of [...this.#segments.keys()].sort((a, b) => a - b)) {
      if (number < place.segment) continue;
      if (end !== null && number > end.segment) break;
      const start = number === place.segment ? place.offset : 0;
      const stop = end?.segment === number ? end.offset : this.#segments.get(number)!;
      const read = await readRecords(this.#path(number), start, stop, bytesMax - bytes);
      messages.push(...read.messages);
      place = { segment: number, offset: read.end };
      bytes += read.end - start;
      if (read.end < stop || bytes >= bytesMax) break;
    }
    if (messages.length === 0 && !this.isEmpty) {
      throw new SpoolError(`Cannot read spool "${this.#directory}": its files were damaged or removed since it was opened`);
    }
    return { messages, end: place };
  }

  async #acknowledge(end: SpoolPlace, messages: number): Promise<void> {
    this.#published = end;
    this.#publishing = null;
    this.#messages -= messages;
    if (this.isEmpty) {
      this.#writing?.file.close();
      this.#writing = null;
    }
    for (const number of [...this.#segments.keys()]) {
      if (number > end.segment || number === end.segment && !this.isEmpty && !this.#isDone(end)) continue;
      if (!await this.#tried("segment not removed", () => Deno.remove(this.#path(number)))) break;
      this.#segments.delete(number);
    }
  }

  /** Whether a segment ends at a place, and nothing will be added. */
  #isDone({ segment, offset }: SpoolPlace): boolean {
    return this.#writing?.number !== segment && this.#segments.get(segment) === offset;
  }

  /** Runs what a failing disk may refuse; false where it did, which is counted. */
  async #tried(otherwise: string, action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      this.failures++;
      log("error", "collector", otherwise, { spool: this.#directory, error: describeDisk(error) });
      return false;
    }
  }

  /** How many of the messages from `first` on fit into one write and the bound. */
  #fit(messages: readonly RowMessage[], first: number): number {
    let bytes = 0, count = 0;
    const room = this.#bytesMax - this.bytes;
    for (let i = first; i < messages.length; i++) {
      bytes += encodedBytes(messages[i]!);
      if (bytes > room || count > 0 && bytes > Math.min(WRITE_BYTES_MAX, this.#segmentBytesMax)) break;
      count++;
    }
    return count;
  }

  async #write(records: Uint8Array): Promise<void> {
    const { number, file } = this.#writing ?? await this.#newSegment();
    const before = this.#segments.get(number)!;
    try {
      for (let written = 0; written < records.length;) written += await file.write(records.subarray(written));
      await file.syncData();
    } catch (error) {
      // What a failed write or sync left is not to be trusted: nothing more goes into this segment.
      this.#writing = null;
      file.close();
      await Deno.truncate(this.#path(number), before);
      throw error;
    }
    const bytes = before + records.length;
    this.#segments.set(number, bytes);
    if (bytes < this.#segmentBytesMax) return;
    this.#writing = null;
    file.close();
  }

  async #newSegment(): Promise<{ readonly number: number; readonly file: Deno.FsFile }> {
    const number = this.#nextNumber;
    const file = await Deno.open(this.#path(number), { createNew: true, append: true });
    this.#nextNumber++;
    this.#segments.set(number, 0);
    await syncDirectory(this.#directory);
    return this.#writing = { number, file };
  }

  async #writePosition(partitionCount: number): Promise<void> {
    const publishing = this.#publishing;
    const position: z.input<typeof Position> = {
      format: 1,
      partition_count: partitionCount,
      published: this.#published,
      publishing: publishing === null ? null : {
        end: publishing.end,
        topic_ends: Object.fromEntries([...publishing.topicEnds].map(([partition, end]) => [partition, String(end)])),
      },
    };
    const path = positionPath(this.#directory), temporary = `${path}.tmp`;
    {
      using file = await Deno.open(temporary, { create: true, truncate: true, write: true });
      const bytes = new TextEncoder().encode(JSON.stringify(position));
      for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
      await file.sync();
    }
    await Deno.rename(temporary, path);
    await syncDirectory(this.#directory);
    this.#partitionCount = partitionCount;
  }

  #path(number: number): string {
    return segmentPath(this.#directory, number);
  }
}

/** What a folder holds. */
interface Found {
  readonly segments: readonly { readonly number: number; readonly end: number }[];
  readonly partitionCount: number | null;
  readonly published: SpoolPlace;
  readonly interrupted: Interrupted | null;
  /** Above that of any segment that was ever there, as far as anything that is left says. */
  readonly nextNumber: number;
  readonly messages: number;
  readonly events: number;
  readonly cutBytes: number;
}

/** Reads through all that is not published, and cuts every segment where its whole records end. */
async function find(directory: string): Promise<Found> {
  const numbers: number[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (new RegExp(`^\\d{${NUMBER_DIGITS}}\\${SUFFIX}$`).test(name)) numbers.push(Number(name.slice(0, NUMBER_DIGITS)));
  }
  numbers.sort((a, b) => a - b);
  const position = await readPosition(directory);
  const nextNumber = Math.max(0, position?.published.segment ?? 0, position?.publishing?.end.segment ?? 0, ...numbers) + 1;
  // A segment that is missing was published.
  const isThere = position !== null && numbers.includes(position.published.segment);
  const published = isThere
    ? position.published
    : { segment: numbers.find((n) => n >= (position?.published.segment ?? 0)) ?? nextNumber, offset: 0 };
  const segments: { number: number; end: number }[] = [];
  let messages = 0, events = 0, cutBytes = 0;
  for (const number of numbers) {
    const path = segmentPath(directory, number);
    if (number < published.segment) {
      await Deno.remove(path);
      continue;
    }
    const content = await checkSegment(path, number === published.segment ? published.offset : 0);
    const { size } = await Deno.stat(path);
    if (size > content.end) await Deno.truncate(path, content.end);
    cutBytes += Math.max(0, size - content.end);
    messages += content.messages;
    events += content.events;
    segments.push({ number, end: content.end });
  }
  const publishing = position?.publishing ?? null;
  const interrupted = publishing === null || !isBefore(published, publishing.end) ? null : {
    end: publishing.end,
    topicEnds: new Map(Object.entries(publishing.topic_ends).map(([partition, end]) => [Number(partition), end])),
  };
  return { segments, partitionCount: position?.partition_count ?? null, published, interrupted, nextNumber, messages, events, cutBytes };
}

function isBefore(a: SpoolPlace, b: SpoolPlace): boolean {
  return a.segment < b.segment || a.segment === b.segment && a.offset < b.offset;
}

async function readPosition(directory: string): Promise<z.output<typeof Position> | null> {
  const path = positionPath(directory);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    return Position.parse(JSON.parse(text));
  } catch (cause) {
    throw new SpoolError(
      `Cannot open spool "${directory}": "${path}" is no position of a spool; move the directory away, its messages can be read by hand`,
      { cause },
    );
  }
}

function positionPath(directory: string): string {
  return `${directory}/position.json`;
}

function segmentPath(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(NUMBER_DIGITS, "0")}${SUFFIX}`;
}
