/** Knows the processes that own sockets, and the service that each belongs to. */

import { readKernelFile, readKernelLink } from "../ffi/libc.ts";
import type { ServiceRule } from "./config.ts";
import { type ProcessEvent, type ProcessKey, readArguments, type SocketOwner } from "./event.ts";
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
}

const PROCESSES_MAX = 16_384;
const CGROUPS_MAX = 16_384;
const COMMAND_LINE_BYTES_MAX = 255;
const CGROUP_FILE_BYTES_MAX = 16_384;
const DELETED = " (deleted)";

/** Processes by key, the least recently described forgotten first. */
export class ProcessTable {
  #rules: readonly ServiceRule[];
  #redact: readonly RegExp[];
  readonly #processes = new Map<string, ProcessDescription>();
  /** Paths outlive the processes they were read from, for processes that end too soon to be read. */
  readonly #cgroupPaths = new Map<number, string>();

  /** @param redact What is blotted out of command lines, beyond the secrets that always are. */
  constructor(rules: readonly ServiceRule[], redact: readonly RegExp[] = []) {
    this.#rules = rules;
    this.#redact = redact;
  }

  /** Puts other rules into force, for the processes that are known as well. */
  configure(rules: readonly ServiceRule[], redact: readonly RegExp[]): void {
    this.#rules = rules;
    this.#redact = redact;
    for (const [key, process] of this.#processes) {
      const command_line = redactCommandLine(process.command_line, redact);
      const service = this.#service(command_line, process.cgroup_path, process.container_id, process.executable_name);
      this.#processes.set(key, { ...process, command_line, ...service });
    }
  }

  /** Takes in a process that described itself. */
  add(event: ProcessEvent): void {
    this.#keep(event, this.#describe(event, event.executable_name === "" ? event.comm : event.executable_name, event.command_line));
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
    const commandLine = readKernelFile(`/proc/${owner.pid}/cmdline`, COMMAND_LINE_BYTES_MAX);
    const comm = readKernelFile(`/proc/${owner.pid}/comm`, 64);
    if (commandLine === null || comm === null) return null;
    const executable = readKernelLink(`/proc/${owner.pid}/exe`);
    const name = executable === null ? new TextDecoder().decode(comm).trim() : baseName(executable);
    return this.#keep(owner, this.#describe(owner, name, readArguments(commandLine)));
  }

  /** Everything that a process can name itself passes here, before it is kept. */
  #describe(owner: SocketOwner, name: string, line: string): ProcessDescription {
    const executableName = printable(name), commandLine = redactCommandLine(line, this.#redact);
    const path = readKernelLink(`/proc/${owner.pid}/exe`);
    const cgroupPath = this.#cgroupPath(owner);
    const containerId = containerOf(cgroupPath);
    const service = this.#service(commandLine, cgroupPath, containerId, executableName);
    return {
      pid: owner.pid,
      user_id: owner.user_id,
      network_namespace: owner.network_namespace,
      cgroup_id: owner.cgroup_id,
      ...service,
      executable_name: executableName,
      // The pid may belong to another program by now; then the kernel's own word for the name stands alone.
      executable_path: path !== null && baseName(path) === name ? printable(path.replace(DELETED, "")) : "",
      command_line: commandLine,
      cgroup_path: cgroupPath,
      container_id: containerId,
    };
  }

  #service(
    commandLine: string,
    cgroupPath: string,
    containerId: string,
    executableName: string,
  ): { service_name: string; service_source: number } {
    const rule = this.#rules.find((r) => r.command_line.test(commandLine));
    if (rule !== undefined) return { service_name: rule.service_name, service_source: SERVICE_SOURCE.rule };
    const unit = unitOf(cgroupPath);
    if (unit !== "") return { service_name: unit, service_source: SERVICE_SOURCE.unit };
    if (containerId !== "") return { service_name: containerId.slice(0, 12), service_source: SERVICE_SOURCE.container };
    if (executableName !== "") return { service_name: executableName, service_source: SERVICE_SOURCE.executable };
    return { service_name: "", service_source: SERVICE_SOURCE.unknown };
  }

  #cgroupPath(owner: { readonly pid: number; readonly cgroup_id: number }): string {
    const file = readKernelFile(`/proc/${owner.pid}/cgroup`, CGROUP_FILE_BYTES_MAX);
    if (file === null) return this.#cgroupPaths.get(owner.cgroup_id) ?? "";
    const path = printable(parseCgroupFile(new TextDecoder().decode(file)));
    keepNewest(this.#cgroupPaths, owner.cgroup_id, path, CGROUPS_MAX);
    return path;
  }

  #keep(key: ProcessKey, description: ProcessDescription): ProcessDescription {
    keepNewest(this.#processes, keyOf(key), description, PROCESSES_MAX);
    return description;
  }
}

/** Path of the unified hierarchy in /proc/PID/cgroup, or systemd's own where that is all there is (cgroups(7)). */
export function parseCgroupFile(text: string): string {
  const lines = text.split("\n").map((line) => /^\d+:([^:]*):(.*)$/.exec(line)).filter((match) => match !== null);
  const unified = lines.find((match) => match[1] === "")?.[2] ?? "";
  const systemd = lines.find((match) => match[1] === "name=systemd")?.[2] ?? "";
  return unified !== "" && unified !== "/" ? unified : systemd !== "" ? systemd : unified;
}

/** Name of the systemd service that a control group belongs to, "" if to none. */
export function unitOf(cgroupPath: string): string {
  const units = cgroupPath.split("/").filter((part) => part.endsWith(".service") && !part.startsWith("user@"));
  return units.at(-1)?.slice(0, -".service".length) ?? "";
}

/** Id of the container that a control group belongs to (Docker, containerd, CRI-O, Podman), "" if to none. */
export function containerOf(cgroupPath: string): string {
  return /(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:\/|$)/.exec(cgroupPath)?.[1] ?? "";
}

function keyOf(key: ProcessKey): string {
  return `${key.pid}:${key.process_start_ns}:${key.exec_id}`;
}

function baseName(path: string): string {
  return path.replace(DELETED, "").split("/").at(-1)!;
}

function keepNewest<K, V>(map: Map<K, V>, key: K, value: V, entriesMax: number): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.keys().next();
  if (map.size > entriesMax && !oldest.done) map.delete(oldest.value);
}
