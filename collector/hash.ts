/** A step of the hashes of tables; their seeds are random, except where every collector must find the same. */
export function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1);
  return mixed ^ mixed >>> 15;
}
