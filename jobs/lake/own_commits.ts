/**
 * Remembers what this program committed, so that a commit of ours is missed where another program has put its own over it: each
 * version of ours has a second name in `_commits/`, under which it stays.
 */

import { removeIfPresent } from "../../lib/durable_file.ts";
import { log } from "../../lib/log.ts";
import { logDirectory, versionFile } from "./log_folder.ts";

/** Versions that are remembered; what is overwritten later than so many commits after it is not noticed. */
const KEPT_VERSIONS = 10_000n;

const COMMIT_FILE = /^(\d{20})\.json$/;

function commitsDirectory(directory: string): string {
  return `${directory}/_commits`;
}

/** Path of the copy of a commit of ours. */
export function commitPath(directory: string, version: bigint): string {
  return `${commitsDirectory(directory)}/${versionFile(version)}`;
}

/**
 * Gives a version of ours its second name. The commit stands also where that fails: the topic's offsets are in the log alone, and a
 * run that starts anew takes them from there.
 *
 * @param path A name of the file that is still there.
 */
export async function rememberCommit(directory: string, version: bigint, path: string): Promise<void> {
  try {
    await linkInto(directory, version, path);
    await forgetCommit(directory, version - KEPT_VERSIONS);
  } catch (error) {
    log("warn", "jobs", "commit not remembered", { version: String(version), error: String(error) });
  }
}

async function linkInto(directory: string, version: bigint, path: string): Promise<void> {
  try {
    await Deno.link(path, commitPath(directory, version));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await Deno.mkdir(commitsDirectory(directory), { recursive: true });
    await Deno.link(path, commitPath(directory, version));
  }
}

export async function forgetCommit(directory: string, version: bigint): Promise<void> {
  if (version >= 0n) await removeIfPresent(commitPath(directory, version));
}

/**
 * Versions that we committed and that are now another program's, ascending.
 *
 * @param from The first to look at, to before `to`; without them all that are remembered.
 */
export function overwrittenCommits(directory: string, from?: bigint, to?: bigint): bigint[] {
  const versions = from === undefined || to === undefined ? rememberedVersions(directory) : range(from, to);
  return versions.filter((version) => isOverwritten(directory, version));
}

function rememberedVersions(directory: string): bigint[] {
  try {
    const names = [...Deno.readDirSync(commitsDirectory(directory))].map(({ name }) => COMMIT_FILE.exec(name)?.[1]);
    return names.filter((digits) => digits !== undefined).sort().map(BigInt);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function range(from: bigint, to: bigint): bigint[] {
  const versions: bigint[] = [];
  for (let version = from < 0n ? 0n : from; version < to; version++) versions.push(version);
  return versions;
}

/** A version that is gone from the log was cleaned up, or is a hole that reading the log tells of. */
function isOverwritten(directory: string, version: bigint): boolean {
  const own = commitPath(directory, version), current = `${logDirectory(directory)}/${versionFile(version)}`;
  const ours = statIfPresent(own), theirs = statIfPresent(current);
  if (ours === null || theirs === null || ours.ino === theirs.ino && ours.dev === theirs.dev) return false;
  // A lake that was copied has two files of it.
  return ours.size !== theirs.size || Deno.readTextFileSync(own) !== Deno.readTextFileSync(current);
}

function statIfPresent(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
