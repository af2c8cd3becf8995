/** Answers that go to a file: it is replaced as a whole, by one run at a time, so that whoever reads it finds the old one or the new one. */

import { log } from "../lib/log.ts";
import { withLock } from "./lock.ts";

/** Runs `make` and puts what it gives at `path`. Where another run is at the same file nothing is done, and that is told. */
export async function replaceFile(path: string, make: () => Promise<string>): Promise<void> {
  const at = path.lastIndexOf("/") + 1, folder = path.slice(0, at), name = path.slice(at);
  const done = await withLock(`${folder}.${name}.lock`, async () => {
    const text = await make();
    await Deno.writeTextFile(`${folder}.${name}.new`, text);
    await Deno.rename(`${folder}.${name}.new`, path);
    return true;
  });
  if (done === null) log("info", "jobs", "another run is at work", { output: path });
}
