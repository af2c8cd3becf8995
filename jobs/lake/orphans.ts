/** Removes what a run left behind that was stopped while it wrote: files that never got their own name. */

import { removeIfPresent } from "../../lib/durable_file.ts";

/** Younger files may belong to a run that is at work, also on another host of a shared file system. */
const ORPHAN_AGE_MS = 3_600_000;

/** Removes everything in the staging folder that is older than an hour. */
export async function removeOrphans(stagingDirectory: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(stagingDirectory)) {
    if (!isFile) continue;
    const path = `${stagingDirectory}/${name}`;
    if (await ageMs(path) > ORPHAN_AGE_MS) await removeIfPresent(path);
  }
}

/** 0 where its writer has just given it its own name, or taken it away. */
async function ageMs(path: string): Promise<number> {
  try {
    const { mtime } = await Deno.stat(path);
    return mtime === null ? 0 : Date.now() - mtime.getTime();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
