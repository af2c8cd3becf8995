/** What /proc tells of a process, if it is still the one that is meant: a pid is used again. */

import { readKernelFile, readKernelLink, suspendedNs } from "../ffi/libc.ts";
import { type ProcessKey, readArguments } from "./event.ts";

/** The files of one process; "" where a file could not be read. */
export interface ProcFiles {
  readonly executable_path: string;
  readonly comm: string;
  /** Arguments separated by NUL, secrets and all. */
  readonly command_line: string;
  /** /proc/PID/cgroup (cgroups(7)). */
  readonly cgroup: string;
}

const COMMAND_LINE_BYTES_MAX = 255;
const CGROUP_FILE_BYTES_MAX = 16_384;
const STAT_BYTES_MAX = 1_024;
/** Of /proc/PID/stat: USER_HZ, 100 on every architecture that is built today. */
const TICK_NS = 10_000_000;
const DELETED = " (deleted)";
const decoder = new TextDecoder();

/** @returns Null where the process is gone, or only waits for its parent, or its pid belongs to another by now. */
export function readProcFiles({ pid, process_start_ns }: Omit<ProcessKey, "exec_id">): ProcFiles | null {
  const text = (name: string, bytesMax: number) => decoder.decode(readKernelFile(`/proc/${pid}/${name}`, bytesMax) ?? undefined);
  const files = {
    executable_path: (readKernelLink(`/proc/${pid}/exe`) ?? "").replace(DELETED, ""),
    comm: text("comm", 64).trimEnd(),
    command_line: readArguments(readKernelFile(`/proc/${pid}/cmdline`, COMMAND_LINE_BYTES_MAX) ?? new Uint8Array(0)),
    cgroup: text("cgroup", CGROUP_FILE_BYTES_MAX),
  };
  // Read last: whoever has the pid now had it when the other files were read, for it cannot come back.
  const stat = parseStat(text("stat", STAT_BYTES_MAX));
  return stat !== null && !stat.isEnded && startedAt(stat.startTicks, process_start_ns) ? files : null;
}

/** State and start of proc_pid_stat(5), null where it is none; the name before them may hold anything. */
export function parseStat(stat: string): { readonly isEnded: boolean; readonly startTicks: number } | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[19]);
  return fields.length < 20 || !Number.isInteger(startTicks) ? null : { isEnded: /^[ZXx]$/.test(fields[0]!), startTicks };
}

/**
 * /proc counts the time that the host was suspended, task_struct.start_time does not: the difference lies between nothing
 * and all of it, for the process may have started between two suspensions.
 */
function startedAt(startTicks: number, processStartNs: number): boolean {
  const early = startTicks * TICK_NS - processStartNs;
  return early >= -TICK_NS && early <= suspendedNs() + TICK_NS;
}
