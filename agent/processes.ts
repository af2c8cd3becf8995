/** Knows the processes that own sockets, and the service that each belongs to. */

import { parseCgroupPath } from "./cgroup_path.ts";
import { CgroupPaths } from "./cgroups.ts";
import type { ServiceRule } from "./config.ts";
import { ContainerTable } from "./containers.ts";
import { ATTRIBUTION, type ProcessEvent, type ProcessKey, type SocketOwner, type TcpEvent } from "./event.ts";
import { type ProcFiles, readProcFiles } from "./proc_files.ts";
import { RecentMap } from "./recent_map.ts";
import { printable, redactCommandLine } from "./redact.ts";

/** `skyfall_process.service_source` of lib/sflow/skyfall.x. */
export const SERVICE_SOURCE = { unknown: 0, rule: 1, unit: 2, container: 3, executable: 4 } as const;

/** What a flow tells of the process at its end; empty text where it could not be learned. */
export interface ProcessDescription {
  readonly pid: number;
  readonly user_id: number;
  readonly network_namespace: number;
  readonly cgroup_id: number;
  readonly service_source: number;
  readonly service_name: string;
  readonly executable_name: string;
  readonly executable_path: string;
  readonly command_line: string;
  readonly cgroup_path: string;
  readonly container_id: string;
  readonly container_name: string;
  readonly k8s_namespace: string;
  readonly k8s_pod_name: string;
}

const PROCESSES_MAX = 8_192;
/** Digits of a container's id that tell it apart, as runtimes show it. */
const CONTAINER_ID_SHOWN = 12;

/** Processes by key; those that own nothing for long are forgotten. */
export class ProcessTable {
  #rules: readonly ServiceRule[];
  #redact: readonly RegExp[];
  readonly #processes = new RecentMap<string, ProcessDescription>(PROCESSES_MAX);
  readonly #cgroups = new CgroupPaths();
  readonly #containers = new ContainerTable("");

  /** @param redact What is blotted out of command lines, beyond the secrets that always are. */
  constructor(rules: readonly ServiceRule[], redact: readonly RegExp[] = []) {
    this.#rules = rules;
    this.#redact = redact;
  }

  /** Puts other rules into force, for the processes that are known as well. */
  configure(rules: readonly ServiceRule[], redact: readonly RegExp[]): void {
    this.#rules = rules;
    this.#redact = redact;
    this.#processes.replaceAll((process) => {
      const command_line = redactCommandLine(process.command_line, redact);
      return { ...process, command_line, ...this.#service(command_line, process.cgroup_path, process.executable_name) };
    });
  }

  /** Takes in a process that described itself. */
  add(event: ProcessEvent): void {
    const known = this.#processes.get(keyOf(event));
    // It described itself at its exit, when the kernel had forgotten its names already: what is known says more.
    if (known !== undefined && event.executable_name === "") return;
    if (event.cgroup_path !== "") this.#cgroups.keep(event.cgroup_id, event.cgroup_path);
    const files = readProcFiles(event);
    const name = event.executable_name || (files === null ? "" : executableName(files)) || event.comm;
    // After an exec, /proc tells of the next program under the same pid.
    const isSame = files !== null && executableName(files) === name && (event.command_line === "" || startsAlike(files, event));
    const commandLine = event.command_line || (isSame ? files.command_line : "");
    this.#keep(event, this.#describe(event, name, commandLine, isSame ? files.executable_path : "", files));
  }

  /** Whether a process that describes itself has done so, as far as the kernel's reports are read. */
  isDescribed(owner: ProcessKey & Pick<TcpEvent, "attribution">): boolean {
    return owner.pid === 0 || owner.attribution === ATTRIBUTION.ATTRIBUTION_TASK_FILE || this.#processes.has(keyOf(owner));
  }

  /**
   * The owner of a socket. One that never described itself (the socket is older than the agent) is read from /proc.
   *
   * @returns Null where there is no owner, or the process is gone and was never described.
   */
  find(owner: SocketOwner): ProcessDescription | null {
    if (owner.pid === 0) return null;
    const known = this.#processes.get(keyOf(owner));
    if (known !== undefined) return known;
    const files = readProcFiles(owner);
    if (files === null) return null;
    return this.#keep(owner, this.#describe(owner, executableName(files), files.command_line, files.executable_path, files));
  }

  /** Everything that a process can name itself passes here, before it is kept. */
  #describe(owner: SocketOwner, name: string, line: string, path: string, files: ProcFiles | null): ProcessDescription {
    const executable_name = printable(name), command_line = redactCommandLine(line, this.#redact);
    const cgroup_path = printable(this.#cgroups.find(owner.cgroup_id, files?.cgroup ?? null));
    const { container_id } = parseCgroupPath(cgroup_path);
    const { container_name, k8s_namespace, k8s_pod_name } = this.#containers.find(container_id);
    return {
      pid: owner.pid,
      user_id: owner.user_id,
      network_namespace: owner.network_namespace,
      cgroup_id: owner.cgroup_id,
      ...this.#service(command_line, cgroup_path, executable_name),
      executable_name,
      executable_path: printable(path),
      command_line,
      cgroup_path,
      container_id,
      container_name: printable(container_name),
      k8s_namespace: printable(k8s_namespace),
      k8s_pod_name: printable(k8s_pod_name),
    };
  }

  #service(commandLine: string, cgroupPath: string, executableName: string): { service_name: string; service_source: number } {
    const rule = this.#rules.find((r) => r.command_line.test(commandLine));
    if (rule !== undefined) return { service_name: rule.service_name, service_source: SERVICE_SOURCE.rule };
    const { unit, container_id } = parseCgroupPath(cgroupPath);
    if (unit !== "") return { service_name: unit, service_source: SERVICE_SOURCE.unit };
    const container = printable(this.#containers.find(container_id).service_name) || container_id.slice(0, CONTAINER_ID_SHOWN);
    if (container !== "") return { service_name: container, service_source: SERVICE_SOURCE.container };
    if (executableName !== "") return { service_name: executableName, service_source: SERVICE_SOURCE.executable };
    return { service_name: "", service_source: SERVICE_SOURCE.unknown };
  }

  #keep(key: ProcessKey, description: ProcessDescription): ProcessDescription {
    this.#processes.set(keyOf(key), description);
    return description;
  }
}

function keyOf(key: ProcessKey): string {
  return `${key.pid}:${key.process_start_ns}:${key.exec_id}`;
}

function executableName({ executable_path, comm }: ProcFiles): string {
  return executable_path.split("/").at(-1) || comm;
}

/** Whether both command lines are the same up to where either is cut. */
function startsAlike({ command_line }: ProcFiles, event: ProcessEvent): boolean {
  const length = Math.min(command_line.length, event.command_line.length);
  return length > 0 && command_line.slice(0, length) === event.command_line.slice(0, length);
}
