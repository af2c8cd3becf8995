/** One run at a time: an advisory lock that the system releases when its holder ends, however it ends (flock(2)). */

/**
 * Runs `action` while holding the lock file at `path`.
 *
 * @returns Its result, or null where somebody else holds the lock.
 */
export async function withLock<T>(path: string, action: () => Promise<T>): Promise<T | null> {
  using file = await Deno.open(path, { create: true, write: true });
  return await file.tryLock(true) ? await action() : null;
}
