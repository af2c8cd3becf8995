/** Runs the actors of the UDP suite under an agent, and puts what it reported beside what they counted. */

import { describeDatagram } from "../../collector/describe_file.ts";
import { DEFAULT_ENTERPRISE } from "../../lib/sflow/datagram.ts";
import { TextLineStream } from "../../chain/text_line_stream.ts";
import { captureAgent } from "../captured.ts";

/** One process's socket and peer, as counted by itself or as reported by the agent in one period or in several. */
export interface UdpTalk {
  readonly pid: number;
  readonly role: string;
  readonly local: string;
  readonly remote: string;
  readonly tx_bytes: number;
  readonly tx_datagrams: number;
  readonly rx_bytes: number;
  readonly rx_datagrams: number;
}

export interface ObservedUdp {
  readonly counted: readonly UdpTalk[];
  /** Summed over all periods. */
  readonly reported: readonly UdpTalk[];
  /** As they came. */
  readonly flows: readonly UdpTalk[];
}

type Fields = Readonly<Record<string, string | number>>;

const ROLES = ["unknown", "client", "server"] as const;
const UDP = 17;
const ACTOR = new URL("actor.py", import.meta.url).pathname;

/** Runs a scenario of actor.py; one that is `older` opens its sockets before the agent starts. */
export async function observeUdp(scenario: string, agentArguments: readonly string[], older: boolean): Promise<ObservedUdp> {
  const early = older ? startActor(scenario) : null;
  if (early !== null) await early.ready();
  let counted: UdpTalk[] = [];
  const datagrams = await captureAgent(async () => {
    counted = await (early ?? startActor(scenario)).finish();
  }, agentArguments);
  const pids = new Set(counted.map(({ pid }) => pid));
  const flows = datagrams.flatMap(udpTalks).filter(({ pid }) => pids.has(pid));
  return { counted: summed(counted), reported: summed(flows), flows };
}

/** Runs a scenario; what its processes counted. */
export async function runActor(scenario: string): Promise<readonly UdpTalk[]> {
  return await startActor(scenario).finish();
}

function startActor(scenario: string) {
  const child = new Deno.Command("python3", { args: [ACTOR, scenario], stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  return {
    async ready(): Promise<void> {
      const { value } = await lines.read();
      if (value !== "ready") throw new Error(`Cannot start ${scenario}: it says "${value}"`);
    },
    async finish(): Promise<UdpTalk[]> {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("go\n"));
      await writer.close();
      const talks: UdpTalk[] = [];
      for (let next = await lines.read(); !next.done; next = await lines.read()) talks.push(JSON.parse(next.value));
      if (!(await child.status).success) throw new Error(`Cannot run ${scenario}: it failed`);
      return talks;
    },
  };
}

/** The UDP flows of a datagram with the pids of their processes. */
function udpTalks(datagram: Uint8Array): UdpTalk[] {
  const records = describeDatagram(datagram, DEFAULT_ENTERPRISE).flatMap((line) => (line["records"] ?? []) as Fields[]);
  const pids = new Map(records.filter((r) => r["record"] === "skyfall_process").map((r) => [r["index"], Number(r["pid"])]));
  return records.filter((r) => r["record"] === "skyfall_flow" && r["transport_protocol"] === UDP).map((r) => ({
    pid: pids.get(r["process_index"]!) ?? 0,
    role: ROLES[Number(r["role"])]!,
    local: `${r["local_address"]}:${r["local_port"]}`,
    remote: `${r["remote_address"]}:${r["remote_port"]}`,
    tx_bytes: Number(r["tx_bytes"]),
    tx_datagrams: Number(r["tx_segments"]),
    rx_bytes: Number(r["rx_bytes"]),
    rx_datagrams: Number(r["rx_segments"]),
  }));
}

/** Adds up what has the same process, role and endpoints, in a fixed order. */
function summed(talks: readonly UdpTalk[]): UdpTalk[] {
  const groups = Map.groupBy(talks, ({ pid, role, local, remote }) => `${pid} ${role} ${local} ${remote}`);
  const sum = (group: readonly UdpTalk[], field: "tx_bytes" | "tx_datagrams" | "rx_bytes" | "rx_datagrams") =>
    group.reduce((total, talk) => total + talk[field], 0);
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([, group]) => {
    const { pid, role, local, remote } = group[0]!;
    return {
      pid,
      role,
      local,
      remote,
      tx_bytes: sum(group, "tx_bytes"),
      tx_datagrams: sum(group, "tx_datagrams"),
      rx_bytes: sum(group, "rx_bytes"),
      rx_datagrams: sum(group, "rx_datagrams"),
    };
  });
}
