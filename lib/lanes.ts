/** Lanes: the parts of an agent's flows that travel and are collected apart, the same for both ends of a conversation. */

/** Lanes that an agent has by default, and at most. All agents of a fleet are to have as many. */
export const LANES_DEFAULT = 4, LANES_MAX = 64;

/** A sub-agent whose upper half is this is a lane; then comes a byte with the number of lanes, and one with the lane's own. */
const LANE_TAG = 0x534b_0000;
/** Where the parts of a lane's sub-agent id are, for whoever reads it without our code. */
export const LANE_SUB_AGENT = { tag: LANE_TAG, tagMask: 0xffff_0000, lanesShift: 8, byteMask: 0xff } as const;

/** The sFlow sub-agent id of a lane. */
export function laneSubAgent(lane: number, lanes: number): number {
  return LANE_TAG | lanes << LANE_SUB_AGENT.lanesShift | lane;
}

/** Whether a sub-agent is a lane of one of our agents. */
export function isLane(subAgent: number): boolean {
  return (subAgent & LANE_SUB_AGENT.tagMask) === LANE_TAG;
}

/**
 * The lane of a conversation. Which of the addresses is the client's makes no difference, so that two ends which do not
 * agree on it meet all the same.
 *
 * @param transport IANA protocol number.
 * @param address One end's address, 16 bytes, IPv4 mapped.
 * @param otherAddress The other end's.
 * @param servicePort Port of the server.
 */
export function laneOf(transport: number, address: Uint8Array, otherAddress: Uint8Array, servicePort: number, lanes: number): number {
  const both = (hashAddress(address) + hashAddress(otherAddress)) | 0;
  return (mix(mix(both, transport), servicePort) >>> 0) % lanes;
}

function hashAddress(address: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < 16; i += 4) {
    hash = mix(hash, address[i]! << 24 | address[i + 1]! << 16 | address[i + 2]! << 8 | address[i + 3]!);
  }
  return hash;
}

/** Every bit of both is felt in every bit of the result (the finalizer of MurmurHash3). */
function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ mixed >>> 13, 0xc2b2_ae35);
  return mixed ^ mixed >>> 16;
}
