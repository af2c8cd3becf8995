/** Which worker gets a datagram: a program for the kernel that reads the head of an sFlow datagram (sflow_version_5.txt, section 5). */

import type { FilterInstruction } from "../ffi/libc_udp_socket.ts";
import { LANE_SUB_AGENT } from "../lib/lanes.ts";
import { ADDRESS_TYPE_IPV4, ADDRESS_TYPE_IPV6, SFLOW_VERSION } from "../lib/sflow/datagram.ts";

/** Instructions of classic BPF (linux/filter.h): A and X are its registers, M its memory. */
const OP = {
  loadWord: 0x20, // A = the word at k, in network order
  loadLength: 0x80,
  loadMemory: 0x60,
  loadIndexMemory: 0x61, // X = M[k]
  store: 0x02,
  toIndex: 0x07, // X = A
  and: 0x54,
  multiply: 0x24,
  multiplyIndex: 0x2c,
  xorIndex: 0xac,
  shiftRight: 0x74,
  modulo: 0x94,
  add: 0x04,
  addIndex: 0x0c,
  jump: 0x05,
  ifEqual: 0x15,
  ifAtLeast: 0x35,
  returnA: 0x16,
} as const;

/** Places of the datagram's head: version, address type, address of 4 or 16 bytes, sub-agent id. */
const VERSION_AT = 0, ADDRESS_TYPE_AT = 4, ADDRESS_AT = 8, SUB_AGENT_AT_IPV4 = 12, SUB_AGENT_AT_IPV6 = 24;
const HEAD_BYTES_IPV4 = 28, HEAD_BYTES_IPV6 = 40;
/** Memory of the program. */
const SUB_AGENT = 0, ADDRESS = 1, LANES = 2, LANE = 3;
/** Where the kernel keeps its hash of addresses and ports: SKF_AD_OFF + SKF_AD_RXHASH. */
const KERNEL_HASH = -0x1000 + 32;
const GOLDEN_RATIO = 0x9e37_79b1;

/** A line of the program: an instruction that may jump, or a label. */
type Line = string | { readonly op: number; readonly k?: number; readonly yes?: string; readonly no?: string };

/**
 * Sends each lane of our agents to the worker that has the lane, so that both ends of a conversation meet. Where there are
 * more workers than lanes, each worker has a lane of some of the agents: all have work, but the ends need not meet. Every other
 * stream (agent address, sub-agent) to one worker. What is no sFlow datagram goes where its sender's other ones go.
 *
 * @param firstPlace Place of the first worker's socket among those of the port.
 */
export function steeringProgram(workers: number, firstPlace: number): FilterInstruction[] {
  return assemble([
    { op: OP.loadLength },
    { op: OP.ifAtLeast, k: HEAD_BYTES_IPV4, no: "foreign" },
    { op: OP.loadWord, k: VERSION_AT },
    { op: OP.ifEqual, k: SFLOW_VERSION, no: "foreign" },
    { op: OP.loadWord, k: ADDRESS_TYPE_AT },
    { op: OP.ifEqual, k: ADDRESS_TYPE_IPV6, yes: "ipv6" },
    { op: OP.ifEqual, k: ADDRESS_TYPE_IPV4, no: "foreign" },
    { op: OP.loadWord, k: SUB_AGENT_AT_IPV4 },
    { op: OP.store, k: SUB_AGENT },
    { op: OP.loadWord, k: ADDRESS_AT },
    { op: OP.jump, yes: "known" },
    "ipv6",
    { op: OP.loadLength },
    { op: OP.ifAtLeast, k: HEAD_BYTES_IPV6, no: "foreign" },
    { op: OP.loadWord, k: SUB_AGENT_AT_IPV6 },
    { op: OP.store, k: SUB_AGENT },
    { op: OP.loadWord, k: ADDRESS_AT },
    ...[4, 8, 12].flatMap((offset) => [{ op: OP.toIndex }, { op: OP.loadWord, k: ADDRESS_AT + offset }, { op: OP.xorIndex }]),
    "known",
    { op: OP.store, k: ADDRESS },
    { op: OP.loadMemory, k: SUB_AGENT },
    { op: OP.and, k: LANE_SUB_AGENT.tagMask },
    { op: OP.ifEqual, k: LANE_SUB_AGENT.tag, no: "other" },
    { op: OP.loadMemory, k: SUB_AGENT },
    { op: OP.and, k: LANE_SUB_AGENT.byteMask },
    { op: OP.store, k: LANE },
    { op: OP.loadMemory, k: SUB_AGENT },
    { op: OP.shiftRight, k: LANE_SUB_AGENT.lanesShift },
    { op: OP.and, k: LANE_SUB_AGENT.byteMask },
    { op: OP.store, k: LANES },
    { op: OP.ifAtLeast, k: workers, no: "many workers" },
    { op: OP.loadMemory, k: LANE },
    { op: OP.jump, yes: "place" },
    "many workers",
    { op: OP.loadMemory, k: ADDRESS },
    { op: OP.multiply, k: GOLDEN_RATIO },
    { op: OP.shiftRight, k: 16 },
    { op: OP.loadIndexMemory, k: LANES },
    { op: OP.multiplyIndex },
    { op: OP.loadIndexMemory, k: LANE },
    { op: OP.addIndex },
    { op: OP.jump, yes: "place" },
    "other",
    { op: OP.loadIndexMemory, k: SUB_AGENT },
    { op: OP.loadMemory, k: ADDRESS },
    { op: OP.multiply, k: GOLDEN_RATIO },
    { op: OP.xorIndex },
    { op: OP.multiply, k: GOLDEN_RATIO },
    { op: OP.shiftRight, k: 16 },
    { op: OP.jump, yes: "place" },
    "foreign",
    { op: OP.loadWord, k: KERNEL_HASH },
    "place",
    { op: OP.modulo, k: workers },
    { op: OP.add, k: firstPlace },
    { op: OP.returnA },
  ]);
}

function assemble(lines: readonly Line[]): FilterInstruction[] {
  const labels = new Map<string, number>();
  let count = 0;
  for (const line of lines) {
    if (typeof line === "string") labels.set(line, count);
    else count++;
  }
  const instructions: FilterInstruction[] = [];
  for (const line of lines) {
    if (typeof line === "string") continue;
    const { op, k = 0, yes, no } = line;
    const distance = (label: string | undefined) => label === undefined ? 0 : labels.get(label)! - instructions.length - 1;
    const isJump = op === OP.jump;
    instructions.push({ code: op, jt: isJump ? 0 : distance(yes), jf: distance(no), k: (isJump ? distance(yes) : k) >>> 0 });
  }
  return instructions;
}
