/** Flows that were read and are yet to be added, so that many are added together. */

import type { FlowTable } from "./aggregate.ts";
import { EXPECTED_MAX } from "./expected_flows.ts";

export class PendingFlows {
  /** Where the `skyfall_flow` of each begins. */
  readonly #ats = new Int32Array(EXPECTED_MAX);
  readonly #groups = new Uint32Array(EXPECTED_MAX);
  readonly #identities = new Int32Array(EXPECTED_MAX);
  #count = 0;

  /** Never above `EXPECTED_MAX`; then they must be added before there is room for another. */
  get count(): number {
    return this.#count;
  }

  push(at: number, group: number, identity: number): void {
    const i = this.#count++;
    this.#ats[i] = at;
    this.#groups[i] = group;
    this.#identities[i] = identity;
  }

  /** @param view What they are in. */
  addTo(table: FlowTable, view: DataView): void {
    const count = this.#count;
    this.#count = 0;
    if (count > 1) table.expect(view, this.#ats, this.#groups, count);
    for (let i = 0; i < count; i++) table.add(view, this.#ats[i]!, this.#groups[i]!, this.#identities[i]!);
  }
}
