/** Run statistics of kernel programs, from bpftool, while they are switched on. */

import { outputOf } from "./processes.ts";

/** What bpftool says of a loaded program. */
interface KernelProgram {
  readonly id: number;
  readonly name: string;
  readonly run_time_ns?: number;
  readonly run_cnt?: number;
}

export type Programs = ReadonlyMap<number, KernelProgram>;

export interface ProgramCost {
  readonly name: string;
  readonly runs: number;
  readonly ns: number;
}

/** Every program that is loaded now. */
export async function loadedPrograms(): Promise<Programs> {
  const programs = JSON.parse(await outputOf("bpftool", "prog", "show", "-j")) as KernelProgram[];
  return new Map(programs.map((program) => [program.id, program]));
}

/** Ids of the programs that a process holds: what proc(5) says of its files. */
export async function programsOf(pid: number): Promise<Set<number>> {
  const folder = `/proc/${pid}/fdinfo`;
  const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => Deno.readTextFile(`${folder}/${name}`));
  return new Set(files.flatMap((text) => /^prog_id:\t(\d+)$/m.exec(text)?.[1] ?? []).map(Number));
}

/** What the programs did between two looks; those that did not run are left out. */
export function costBetween(ids: ReadonlySet<number>, start: Programs, end: Programs): ProgramCost[] {
  return [...ids].map((id) => {
    const a = start.get(id)!, b = end.get(id)!;
    return { name: b.name, runs: (b.run_cnt ?? 0) - (a.run_cnt ?? 0), ns: (b.run_time_ns ?? 0) - (a.run_time_ns ?? 0) };
  }).filter(({ runs }) => runs > 0);
}

export function totalNs(programs: readonly ProgramCost[]): number {
  return programs.reduce((sum, { ns }) => sum + ns, 0);
}

/** Runs with statistics on, and leaves the switch as it was. They cost some 20 ns a run themselves. */
export async function withStatistics<T>(run: () => Promise<T>): Promise<T> {
  const before = (await outputOf("sysctl", "-n", "kernel.bpf_stats_enabled")).trim();
  await outputOf("sysctl", "-w", "kernel.bpf_stats_enabled=1");
  return await run().finally(() => outputOf("sysctl", "-w", `kernel.bpf_stats_enabled=${before}`));
}
