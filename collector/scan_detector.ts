/** Finds clients that touch very many servers and ports in one minute, in fixed memory. */

import { KEY } from "./flow_rows.ts";
import { mix } from "./hash.ts";

const CELLS = 4_096;
/** Cell: group, minute, client address in four words, count. */
const CELL_WORDS = 7, MINUTE = 1, CLIENT = 2, COUNT = 6;
/** Distinct servers and ports from which a client is taken for a scanner. */
export const SCAN_TARGETS = 1_024;

/**
 * A cell counts the new keys of one client; another client of the same cell counts it down, and takes it over at 0. So a
 * count is never too high, and the client of most new keys in a cell keeps it.
 */
export class ScanDetector {
  readonly #cells = new Uint32Array(CELLS * CELL_WORDS);

  /** Takes in a key that is new, and tells whether its client has had too many in this minute. */
  isScan(key: Uint32Array, addressWords: number): boolean {
    const cells = this.#cells;
    let hash = mix(mix(0, key[KEY.group]!), key[KEY.minute]!);
    for (let i = 0; i < addressWords; i++) hash = mix(hash, key[KEY.client + i]!);
    const at = (hash >>> 0) % CELLS * CELL_WORDS;
    let same = cells[at] === key[KEY.group] && cells[at + MINUTE] === key[KEY.minute];
    for (let i = 0; i < 4; i++) same &&= cells[at + CLIENT + i] === (i < addressWords ? key[KEY.client + i] : 0);
    if (same) return cells[at + COUNT]! >= SCAN_TARGETS || ++cells[at + COUNT]! > SCAN_TARGETS;
    if (cells[at + COUNT]! > 0 && cells[at + MINUTE]! >= key[KEY.minute]!) {
      cells[at + COUNT]!--;
      return false;
    }
    cells[at] = key[KEY.group]!;
    cells[at + MINUTE] = key[KEY.minute]!;
    for (let i = 0; i < 4; i++) cells[at + CLIENT + i] = i < addressWords ? key[KEY.client + i]! : 0;
    cells[at + COUNT] = 1;
    return false;
  }
}
