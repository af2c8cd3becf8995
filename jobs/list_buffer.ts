/** A column of lists of the rows of a row group, which grows message by message: values, and the levels that tell where lists begin. */

import type { ListColumn } from "../lib/column_data.ts";
import { bytesWithRoom, FIRST_ROWS, type SomeRows, withRoom } from "./column_buffers.ts";

export interface Lists {
  readonly values: Int32Array;
  readonly valueCount: number;
  /** Of each value, and of each empty list: 0 where a list begins, and 3 where there is a value, else 1. */
  readonly repetition: Uint8Array;
  readonly definition: Uint8Array;
  readonly levelCount: number;
}

/** Lists that are never null, of numbers that never are. */
export class ListBuffer {
  #values = new Int32Array(FIRST_ROWS);
  #valueCount = 0;
  #repetition = new Uint8Array(FIRST_ROWS);
  #definition = new Uint8Array(FIRST_ROWS);
  #levelCount = 0;

  append({ offsets, values }: ListColumn, { count, indexes }: SomeRows): void {
    for (let i = 0; i < count; i++) {
      const row = indexes === null ? i : indexes[i]!, start = offsets[row]!, end = offsets[row + 1]!;
      this.#reserve(end - start + 1);
      if (start === end) this.#definition[this.#levelCount++] = 1;
      for (let place = start; place < end; place++) {
        this.#repetition[this.#levelCount] = place === start ? 0 : 1;
        this.#definition[this.#levelCount++] = 3;
        this.#values[this.#valueCount++] = values[place]!;
      }
    }
  }

  take(): Lists {
    const { values, repetition, definition } = { values: this.#values, repetition: this.#repetition, definition: this.#definition };
    return { values, valueCount: this.#valueCount, repetition, definition, levelCount: this.#levelCount };
  }

  clear(): void {
    this.#repetition.fill(0, 0, this.#levelCount);
    this.#valueCount = this.#levelCount = 0;
  }

  #reserve(more: number): void {
    const needed = this.#levelCount + more;
    if (needed <= this.#repetition.length) return;
    this.#values = withRoom(this.#values, needed);
    [this.#repetition, this.#definition] = [bytesWithRoom(this.#repetition, needed), bytesWithRoom(this.#definition, needed)];
  }
}
