/** Control groups by id and path (cgroups(7)). */

import { readKernelFile } from "../ffi/libc.ts";
import { parseCgroupPath } from "./cgroup_path.ts";
import { RecentMap } from "./recent_map.ts";

const CGROUPS_MAX = 8_192;
const MOUNTS_BYTES_MAX = 1 << 20;

/** Paths by id, for processes that the kernel programs only gave an id of, and that are gone before they are read. */
export class CgroupPaths {
  readonly #paths = new RecentMap<number, string>(CGROUPS_MAX);

  /** Takes in what the kernel told. */
  keep(id: number, path: string): void {
    this.#paths.set(id, path);
  }

  /**
   * Path of the control group that a process was in when the kernel programs saw it.
   *
   * @param id Of the unified hierarchy.
   * @param file Its /proc/PID/cgroup, read later; null where it is gone.
   * @returns "" where it is unknown.
   */
  find(id: number, file: string | null): string {
    const known = this.#paths.get(id);
    if (known !== undefined) return known;
    if (file === null) return "";
    const { path, isUnified } = parseCgroupFile(file);
    // Where another hierarchy is the one in use, every process is in the root of the unified one, and no id tells its group.
    if (isUnified && path !== "/") this.keep(id, path);
    return path;
  }
}

/**
 * Path of the unified hierarchy in /proc/PID/cgroup; of systemd's own, or of a controller's that names a container, where the
 * unified one says nothing.
 */
export function parseCgroupFile(text: string): { readonly path: string; readonly isUnified: boolean } {
  const lines = text.split("\n").map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).filter((match) => match !== null);
  const unified = lines.find((match) => match[1] === "")?.[2] ?? "";
  const systemd = lines.find((match) => match[1] === "name=systemd")?.[2] ?? "";
  const container = lines.find((match) => parseCgroupPath(match[2]!).container_id !== "")?.[2] ?? "";
  const path = [unified, systemd, container].find((path) => path !== "" && path !== "/") ?? (unified || systemd);
  return { path, isUnified: path === unified };
}

/** Where the version 2 hierarchy is mounted, on its own or beside version 1. */
export function cgroupRoot(): string | null {
  const mounts = readKernelFile("/proc/self/mounts", MOUNTS_BYTES_MAX);
  if (mounts === null) return null;
  const lines = new TextDecoder().decode(mounts).split("\n").map((line) => line.split(" "));
  return lines.find(([, , type]) => type === "cgroup2")?.[1] ?? null;
}
