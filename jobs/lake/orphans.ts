/** Removes what a run left behind that was stopped while it wrote: files that never got their own name, and folders of a repair. */

import { removeIfPresent } from "../../lib/durable_file.ts";
import { heldBy } from "./lease.ts";

/** Younger files may belong to a run on another host of a shared file system, where leases do not reach. */
const ORPHAN_AGE_MS = 3_600_000;

/**
 * Removes everything in the staging folders of a lake that is older than an hour and than every writer at work. Age alone does not
 * do: a clock may have jumped, ours or the host's, since a writer that is still at it wrote.
 */
export async function removeOrphans(lake: string, stagingDirectories: readonly string[]): Promise<void> {
  // The files before the leases: whoever wrote one of these holds its lease by now, or has ended.
  const old: Staged[] = [];
  for (const directory of stagingDirectories) old.push(...await oldEntries(directory));
  if (old.length === 0) return;
  const { writingSinceMs } = await heldBy(lake);
  for (const { path, mtimeMs } of old) if (mtimeMs < (writingSinceMs ?? Infinity)) await removeIfPresent(path, { recursive: true });
}

interface Staged {
  readonly path: string;
  /** Of a folder, when the last name in it came or went. */
  readonly mtimeMs: number;
}

async function oldEntries(directory: string): Promise<Staged[]> {
  const old: Staged[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`, mtimeMs = await modifiedMs(path);
    if (mtimeMs !== null && Date.now() - mtimeMs > ORPHAN_AGE_MS) old.push({ path, mtimeMs });
  }
  return old;
}

/** Null where its writer has just given it its own name, or taken it away. */
async function modifiedMs(path: string): Promise<number | null> {
  try {
    return (await Deno.stat(path)).mtime?.getTime() ?? null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
