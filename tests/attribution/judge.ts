/** Compares the process that the agent names for each connection with what the processes say themselves. */

import { describeDatagram } from "../../collector/describe_file.ts";
import { DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import { ATTRIBUTION_SOURCE, END_REASON } from "../../agent/flow.ts";
import type { Truth } from "./actor.ts";

/** What the agent says of one end in one period; without a process it says "unknown". */
export interface Named {
  readonly attribution_source: number;
  readonly end_reason: number;
  readonly role: number;
  readonly role_source: number;
  readonly process: NamedProcess | null;
}

export interface NamedProcess {
  readonly pid: number;
  readonly executable_name: string;
  readonly executable_path: string;
  readonly command_line: string;
  readonly cgroup_path: string;
  readonly container_id: string;
  readonly container_name: string;
  readonly k8s_namespace: string;
  readonly k8s_pod_name: string;
  readonly service_name: string;
}

interface NamedFlow extends Omit<Named, "process"> {
  readonly local_address: string;
  readonly remote_address: string;
  readonly local_port: number;
  readonly remote_port: number;
  readonly process_index: number;
}

/** By ends ("ADDRESS:PORT ADDRESS:PORT"), every record that the agent made of it, in order. */
export function namedByEnds(datagrams: readonly Uint8Array[]): Map<string, Named[]> {
  const named = new Map<string, Named[]>();
  for (const line of datagrams.flatMap((datagram) => describeDatagram(datagram, DEFAULT_ENTERPRISE))) {
    const records = (line["records"] ?? []) as { record: string; index?: number }[];
    const processes = new Map(
      records.filter(({ record }) => record === "skyfall_process").map((record) => [record.index, record as unknown as NamedProcess]),
    );
    for (const flow of records.filter(({ record }) => record === "skyfall_flow") as unknown as NamedFlow[]) {
      const key = `${flow.local_address}:${flow.local_port} ${flow.remote_address}:${flow.remote_port}`;
      const list = named.get(key) ?? [];
      list.push({ ...flow, process: processes.get(flow.process_index) ?? null });
      named.set(key, list);
    }
  }
  return named;
}

/** Ends of connections by what the agent made of them. */
export interface Verdict {
  ends: number;
  right: number;
  /** The listener as a guess that is marked as one. */
  guessed: number;
  unknown: number;
  /** Without a record of their end. */
  missing: number;
  readonly wrong: string[];
}

/**
 * Judges every end that a process served or opened: no record may name another process, and that of the connection's end
 * decides whether it was named at all, for before accept(2) there is nobody but the listener.
 */
export function judge(truths: readonly Truth[], named: ReadonlyMap<string, readonly Named[]>): Verdict {
  const verdict: Verdict = { ends: 0, right: 0, guessed: 0, unknown: 0, missing: 0, wrong: [] };
  const held = new Map(truths.filter(({ end }) => end === "held").map((truth) => [keyOf(truth), truth]));
  for (const truth of truths) {
    if (truth.end === "held") continue;
    verdict.ends++;
    const records = named.get(keyOf(truth)) ?? [];
    const last = records.find(({ end_reason }) => end_reason !== END_REASON.open);
    const holder = held.get(keyOf(truth));
    // While a connection that is passed on is open, who held it before is right too.
    const wrong = records.flatMap((record) => {
      const difference = differenceOf(truth, record);
      return difference !== null && holder !== undefined && record.end_reason === END_REASON.open
        ? differenceOf(holder, record) ?? []
        : difference ?? [];
    });
    if (last === undefined) verdict.missing++;
    else if (wrong.length > 0) verdict.wrong.push(`${truth.end} ${keyOf(truth)}: ${wrong[0]}`);
    else if (truth.end === "nobody") verdict.right++;
    else if (last.process === null) verdict.unknown++;
    else if (last.attribution_source === ATTRIBUTION_SOURCE.listener) verdict.guessed++;
    else verdict.right++;
  }
  return verdict;
}

/** What is wrong in a record's process; null where it is right, unknown, or a guess that says so. */
function differenceOf(truth: Truth, { process, attribution_source }: Named): string | null {
  if (process === null || attribution_source === ATTRIBUTION_SOURCE.listener) return null;
  const { pid, executable_name, command_line, executable_path, cgroup_path } = process;
  if (truth.end === "nobody") return `${executable_name} by source ${attribution_source}, needed nobody`;
  const expected = { pid: truth.pid, executable_name: truth.executable_path.split("/").at(-1), command_line: truth.command_line };
  const actual = { pid, executable_name, command_line };
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    return `${JSON.stringify(actual)} by source ${attribution_source}, needed ${JSON.stringify(expected)}`;
  }
  // What comes from /proc may be missing, where the process was gone.
  if (!["", truth.executable_path].includes(executable_path)) return `executable_path ${executable_path}, needed ${truth.executable_path}`;
  if (!["", truth.cgroup_path].includes(cgroup_path)) return `cgroup_path ${cgroup_path}, needed ${truth.cgroup_path}`;
  return null;
}

function keyOf({ local, remote }: Truth): string {
  return `${local} ${remote}`;
}
