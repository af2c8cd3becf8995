/** Files that are on stable storage when a call returns, and what to say when they are not. */

/** Writes a file and waits until it is on stable storage. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  await file.sync();
}

/** Waits until the names in a folder are on stable storage. */
export async function syncDirectory(path: string): Promise<void> {
  using directory = await Deno.open(path);
  await directory.sync();
}

/** What to do about a failed write. */
export function describeDisk(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return /No space left|os error 28/.test(text) ? "the disk is full; free some space, nothing that was stored is lost" : text;
}

/** Removes a file; that it is not there is as good. */
export async function removeIfPresent(path: string, options: Deno.RemoveOptions = {}): Promise<void> {
  try {
    await Deno.remove(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
