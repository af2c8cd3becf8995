/** The SHA-256 (FIPS 180-4) of a data file's bytes: kept with files that stay, so that a disk that changes one is found out. */

import { createHash } from "node:crypto";
import type { AddFile } from "./actions.ts";

/** Tag with the digest in hexadecimal; files that compaction made have it. */
export const DIGEST_TAG = "skyfall.sha256";

const READ_BYTES = 1 << 20;

export async function fileDigest(path: string): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256"), bytes = new Uint8Array(READ_BYTES);
  for (let read = await file.read(bytes); read !== null; read = await file.read(bytes)) hash.update(bytes.subarray(0, read));
  return hash.digest("hex");
}

/** Whether the file has the bytes that it was committed with; true where nobody noted them. */
export async function hasItsBytes(path: string, { tags }: AddFile): Promise<boolean> {
  const noted = tags?.[DIGEST_TAG];
  return noted === undefined || noted === await fileDigest(path);
}
