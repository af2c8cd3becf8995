/** Flows that are about to be added: each needs memory that is far away, and waiting for many at once takes little longer than for one. */

import { KeyReader } from "./flow_key.ts";
import type { FlowRows } from "./flow_rows.ts";

export const EXPECTED_MAX = 64;

export class ExpectedFlows {
  readonly #v4: FlowRows;
  readonly #v6: FlowRows;
  readonly #keyReader = new KeyReader();
  readonly #rows: FlowRows[] = [];
  readonly #hashes = new Int32Array(EXPECTED_MAX);
  readonly #clientPorts = new Int32Array(EXPECTED_MAX);

  constructor(v4: FlowRows, v6: FlowRows) {
    this.#v4 = v4;
    this.#v6 = v6;
  }

  /** Touches slots, rows and ports of the flows at `ats`, of processes in `groups`, at most `EXPECTED_MAX`. */
  touch(view: DataView, ats: Int32Array, groups: Uint32Array, count: number): void {
    const reader = this.#keyReader;
    for (let i = 0; i < count; i++) {
      const key = reader.read(view, ats[i]!, groups[i]!), rows = reader.isV4 ? this.#v4 : this.#v6;
      this.#rows[i] = rows;
      this.#hashes[i] = rows.hash(key);
      this.#clientPorts[i] = reader.clientPort;
    }
    // In loops as short as these the processor runs ahead over several flows.
    for (let i = 0; i < count; i++) this.#rows[i]!.touchSlot(this.#hashes[i]!);
    for (let i = 0; i < count; i++) this.#rows[i]!.touchRow(this.#hashes[i]!);
    for (let i = 0; i < count; i++) this.#rows[i]!.touchPorts(this.#hashes[i]!, this.#clientPorts[i]!);
  }
}
