/** Removes what a run left behind that was stopped while it wrote: files that never got their own name. */

/** Younger files may belong to a run on another host of a shared file system. */
const ORPHAN_AGE_MS = 3_600_000;

/** Removes everything in the staging folder that is older than an hour. */
export async function removeOrphans(stagingDirectory: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(stagingDirectory)) {
    if (!isFile) continue;
    const { mtime } = await Deno.stat(`${stagingDirectory}/${name}`);
    if (mtime !== null && Date.now() - mtime.getTime() > ORPHAN_AGE_MS) await Deno.remove(`${stagingDirectory}/${name}`);
  }
}
