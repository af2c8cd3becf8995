/**
 * The journal of cuts: which messages the next commit takes in, on stable storage before a byte of its files is written. A run
 * after a crash reads the decision back instead of taking another. It decides nothing by itself: the table's log does.
 */

import { z } from "zod";
import { describeDisk, syncDirectory } from "../../lib/durable_file.ts";
import { log } from "../../lib/log.ts";
import { LakeError } from "./delta_log.ts";

/** Messages of one commit. */
export interface Cut {
  readonly topic: string;
  /** By partition, the first offset, and the one after the last. */
  readonly ranges: ReadonlyMap<number, readonly [from: bigint, to: bigint]>;
  /** Why it ends there. */
  readonly reason: CutReason;
  /** RFC 3339; rows carry it, so that they are the same in every attempt. */
  readonly ingestTime: string;
  /** Name of the files of each partition of the table, without folder and suffix. */
  readonly file: string;
}

export const CUT_REASONS = ["rows", "bytes", "age", "end", "stop"] as const;
export type CutReason = typeof CUT_REASONS[number];

const Offset = z.string().regex(/^\d{1,19}$/).transform(BigInt);
const Line = z.object({
  topic: z.string(),
  ranges: z.record(z.string(), z.tuple([Offset, Offset])),
  reason: z.enum(CUT_REASONS),
  ingest_time: z.string(),
  file: z.string(),
});

const JOURNAL_BYTES_MAX = 1 << 20;
const CHECKSUM_DIGITS = 16;
const encoder = new TextEncoder();

/** @param lake Folder of the lake: one journal is for all tables of a job. */
export function journalDirectory(lake: string): string {
  return `${lake}/_cuts`;
}

/** Makes a cut, with a name for its files that nothing but the cut itself decides. */
export async function newCut(topic: string, ranges: Cut["ranges"], reason: CutReason): Promise<Cut> {
  const ingestTime = new Date().toISOString();
  const [[partition, [from]] = [0, [0n]]] = [...ranges];
  const hash = await checksum(JSON.stringify([topic, rangesJson(ranges), ingestTime]));
  return { topic, ranges, reason, ingestTime, file: `part-${partition}-${from}-${hash}` };
}

/** One writer's cuts, a line each. */
export class CutJournal implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  #bytes: number;
  /** The cut that was written last; its commit may have come about or not. */
  readonly last: Cut | null;

  private constructor(file: Deno.FsFile, path: string, bytes: number, last: Cut | null) {
    this.#file = file;
    this.#path = path;
    this.#bytes = bytes;
    this.last = last;
  }

  /**
   * @param name Of the writer: one that is alive at a time.
   * @throws {LakeError} If the disk fails.
   */
  static async open(lake: string, name: string): Promise<CutJournal> {
    const path = `${journalDirectory(lake)}/${name}.jsonl`;
    try {
      const file = await Deno.open(path, { read: true, append: true, create: true });
      await syncDirectory(journalDirectory(lake));
      const text = await Deno.readTextFile(path);
      const last = await lastCut(text, path);
      // What a crash left of a line must not become the beginning of the next.
      if (text !== "" && !text.endsWith("\n")) await file.write(encoder.encode("\n"));
      return new CutJournal(file, path, encoder.encode(text).length, last);
    } catch (cause) {
      throw new LakeError(`Cannot open "${path}": ${describeDisk(cause)}`, { cause });
    }
  }

  /** @throws {LakeError} If it cannot be written; then nothing may be written of the cut. */
  async write(cut: Cut): Promise<void> {
    try {
      if (this.#bytes > JOURNAL_BYTES_MAX) { // every cut before this one is committed
        await this.#file.truncate(0);
        this.#bytes = 0;
      }
      const text = JSON.stringify({
        topic: cut.topic,
        ranges: rangesJson(cut.ranges),
        reason: cut.reason,
        ingest_time: cut.ingestTime,
        file: cut.file,
      });
      const line = encoder.encode(`${await checksum(text)} ${text}\n`);
      for (let written = 0; written < line.length;) written += await this.#file.write(line.subarray(written));
      await this.#file.syncData();
      this.#bytes += line.length;
    } catch (cause) {
      throw new LakeError(`Cannot write "${this.#path}": ${describeDisk(cause)}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/**
 * Names, without suffix, of files that a writer may be about to commit: no matter how old they are, they must stay. Read them
 * before the log that they are compared with.
 */
export async function filesOfPendingCuts(lake: string): Promise<Set<string>> {
  const names = new Set<string>();
  try {
    for (const { name } of Deno.readDirSync(journalDirectory(lake))) {
      const path = `${journalDirectory(lake)}/${name}`;
      const cut = await lastCut(await Deno.readTextFile(path), path);
      if (cut !== null) names.add(cut.file);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names;
}

/** `{"PARTITION": ["FROM", "TO"]}`. */
function rangesJson(ranges: Cut["ranges"]): Record<string, [string, string]> {
  return Object.fromEntries([...ranges].map(([partition, [from, to]]) => [String(partition), [String(from), String(to)]]));
}

/** The last whole line's cut; a line that a crash cut short is none, and the one before it is of a commit that came about. */
async function lastCut(text: string, path: string): Promise<Cut | null> {
  const lines = text.split("\n");
  const isTorn = lines.at(-1) !== "";
  const line = (isTorn ? lines.at(-1) : lines.at(-2)) ?? "";
  if (line === "") return null;
  const digits = line.slice(0, CHECKSUM_DIGITS), json = line.slice(CHECKSUM_DIGITS + 1);
  if (isTorn || await checksum(json) !== digits) {
    log("warn", "jobs", "cut that was not written to its end is taken anew", { file: path });
    return null;
  }
  const { topic, ranges, reason, ingest_time, file } = Line.parse(JSON.parse(json));
  return { topic, reason, file, ingestTime: ingest_time, ranges: new Map(Object.entries(ranges).map(([p, range]) => [Number(p), range])) };
}

/** The first 8 bytes of SHA-256, as hex. */
async function checksum(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))).toHex().slice(0, CHECKSUM_DIGITS);
}
