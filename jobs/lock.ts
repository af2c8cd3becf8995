/** One run at a time: advisory locks that the system releases when their holder ends, however it ends (flock(2)). */

import { describeDisk } from "../lib/durable_file.ts";
import { LakeError } from "./lake/delta_log.ts";

/** Locks that are held until disposed of. */
export class Locks implements Disposable {
  readonly #files: Deno.FsFile[] = [];

  private constructor() {}

  /**
   * Takes all of the locks, or none where somebody else holds one: then the result is null.
   *
   * @throws {LakeError} If the disk fails.
   */
  static async take(paths: readonly string[]): Promise<Locks | null> {
    const locks = new Locks();
    for (const path of paths) {
      if (await locks.#take(path)) continue;
      locks[Symbol.dispose]();
      return null;
    }
    return locks;
  }

  async #take(path: string): Promise<boolean> {
    try {
      const file = await Deno.open(path, { create: true, write: true });
      this.#files.push(file);
      return await file.tryLock(true);
    } catch (cause) {
      this[Symbol.dispose]();
      throw new LakeError(`Cannot take lock "${path}": ${describeDisk(cause)}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.splice(0)) file.close();
  }
}

/**
 * Runs `action` while holding the lock file at `path`.
 *
 * @returns Its result, or null where somebody else holds the lock.
 */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T | null> {
  using locks = await Locks.take([path]);
  return locks === null ? null : await action();
}

/** As `withLock()`, of a folder itself, for those who may only read it. */
export async function withFolderLock<T>(path: string, action: () => Promise<T>): Promise<T | null> {
  using folder = await Deno.open(path);
  return await folder.tryLock(true) ? await action() : null;
}
