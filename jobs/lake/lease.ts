/**
 * Leases: what of a lake somebody reads or is about to commit, so that no vacuum deletes it. A lease is a file under a lock that
 * the system releases when its holder ends, however it ends (flock(2)): one without a holder is void.
 */

import { z } from "zod";
import { describeDisk } from "../../lib/durable_file.ts";
import { jsonOf, LakeError } from "./actions.ts";

/** Versions by table that a reader holds; none yet means all; or that its holder writes files which no commit names yet. */
const Content = z.object({ versions: z.record(z.string(), z.string().regex(/^-?\d+$/).transform(BigInt)).nullable(), writes: z.boolean() });

const SUFFIX = ".lease";
/** A holder needs far less between making its file and locking it. */
const UNLOCKED_AGE_MS = 60_000;

/** What live leases hold of a lake. */
export interface Held {
  /** A reader has begun and not yet said what it reads. */
  readonly everything: boolean;
  readonly versions: readonly ReadonlyMap<string, bigint>[];
  /** When the writer began that is at work for longest, as milliseconds since 1970; null where none is. */
  readonly writingSinceMs: number | null;
}

/** Held until it is disposed of. */
export class Lease implements Disposable {
  /** Null where the lake is read-only for this user, or full: then the retention alone protects its reads. */
  readonly #file: { readonly handle: Deno.FsFile; readonly path: string } | null;

  private constructor(file: { readonly handle: Deno.FsFile; readonly path: string } | null) {
    this.#file = file;
  }

  /**
   * Take it before the log is read: from then on no file is deleted that is in the version read.
   *
   * @throws {LakeError} If the disk fails.
   */
  static async forReading(lake: string): Promise<Lease> {
    return await Lease.#take(lake, { versions: null, writes: false });
  }

  /** Take it before the first file is written: until it ends, no file is deleted that was written since. @throws {LakeError} If the disk fails or is full. */
  static async forWriting(lake: string): Promise<Lease> {
    return await Lease.#take(lake, { versions: {}, writes: true });
  }

  static async #take(
    lake: string,
    content: { readonly versions: Readonly<Record<string, string>> | null; readonly writes: boolean },
  ): Promise<Lease> {
    const path = `${leaseDirectory(lake)}/${crypto.randomUUID()}${SUFFIX}`, temporary = `${path}.tmp`;
    try {
      await makeFolder(leaseDirectory(lake));
      const handle = await Deno.open(temporary, { createNew: true, write: true });
      try {
        await handle.lock(true);
        writeContent(handle, content);
        await Deno.rename(temporary, path);
        return new Lease({ handle, path });
      } catch (error) {
        handle.close();
        // By another clock it was made long ago, and nobody had locked it yet.
        if (error instanceof Deno.errors.NotFound) return await Lease.#take(lake, content);
        removeIfPresent(temporary);
        throw error;
      }
    } catch (error) {
      // A full disk must not keep people from asking; then, too, the retention alone protects what they read.
      if (isUnwritable(error) || (!content.writes && isFull(error))) return new Lease(null);
      throw new LakeError(`Cannot take lease "${path}": ${describeDisk(error)}`, { cause: error });
    }
  }

  /** From now on the lease holds these versions by table, and nothing else. */
  hold(versions: ReadonlyMap<string, bigint>): void {
    if (this.#file === null) return;
    const texts = Object.fromEntries([...versions].map(([table, version]) => [table, String(version)]));
    writeContent(this.#file.handle, { versions: texts, writes: false });
  }

  [Symbol.dispose](): void {
    if (this.#file === null) return;
    removeIfPresent(this.#file.path);
    this.#file.handle.close();
  }
}

/** What is held now. Read the log before: a reader that comes after reads that version or a later one. Void leases are removed. */
export async function heldBy(lake: string): Promise<Held> {
  let everything = false, writingSinceMs: number | null = null;
  const versions: ReadonlyMap<string, bigint>[] = [];
  for (const name of namesOf(leaseDirectory(lake))) {
    const path = `${leaseDirectory(lake)}/${name}`;
    const lease = await readLease(path, name.endsWith(SUFFIX));
    if (lease === "void") continue;
    if (lease === "unknown") everything = true;
    else if (lease.writes) writingSinceMs = Math.min(writingSinceMs ?? Infinity, lease.sinceMs);
    else versions.push(lease.versions);
  }
  return { everything, versions, writingSinceMs };
}

/**
 * Waits until no vacuum is deleting. Whoever reads an older version calls it once its lease is taken: what is there afterwards stays.
 */
export async function awaitVacuum(lake: string): Promise<void> {
  try {
    using file = await Deno.open(vacuumLock(lake));
    await file.lock(false);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // no vacuum ever ran
  }
}

/** Runs `remove` while no reader of an older version may begin. */
export async function whileDeleting<T>(lake: string, remove: () => Promise<T>): Promise<T> {
  using file = await Deno.open(vacuumLock(lake), { create: true, write: true });
  await file.lock(true);
  return await remove();
}

function leaseDirectory(lake: string): string {
  return `${lake}/_leases`;
}

function vacuumLock(lake: string): string {
  return `${lake}/_locks/vacuum`;
}

type LiveLease = { readonly versions: ReadonlyMap<string, bigint>; readonly writes: boolean; readonly sinceMs: number };

async function readLease(path: string, isTaken: boolean): Promise<LiveLease | "void" | "unknown"> {
  try {
    using file = await Deno.open(path, { read: true, write: true });
    const { mtime } = await file.stat();
    const sinceMs = mtime?.getTime() ?? 0;
    if (await file.tryLock(true)) {
      if (isTaken || Date.now() - sinceMs > UNLOCKED_AGE_MS) removeIfPresent(path);
      return "void";
    }
    // While it is being written it is no JSON yet.
    const parsed = Content.safeParse(jsonOf(await Deno.readTextFile(path)));
    if (!parsed.success || parsed.data.versions === null) return "unknown";
    return { versions: new Map(Object.entries(parsed.data.versions)), writes: parsed.data.writes, sinceMs };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "void"; // its holder has just ended
    throw error;
  }
}

/** Where the disk is full the text stays cut short, and the lease holds everything: questions and vacuum go on. */
function writeContent(file: Deno.FsFile, content: unknown): void {
  file.seekSync(0, Deno.SeekMode.Start);
  file.truncateSync(0);
  const bytes = new TextEncoder().encode(JSON.stringify(content));
  try {
    for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}

/** @throws {Deno.errors.NotFound} If there is no lake. */
async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function namesOf(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** No such folder, no right to write there, or a file system that is mounted read-only. */
function isUnwritable(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Error && /os error 30\b/.test(error.message);
}

function isFull(error: unknown): boolean {
  return error instanceof Error && /os error (28|122)\b/.test(error.message); // ENOSPC, EDQUOT
}

function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
