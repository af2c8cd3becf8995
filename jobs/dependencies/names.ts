/** Texts as numbers: equal texts have equal numbers, and the empty one has 0. */

import { encodedDictionary } from "../../lib/arrow_columns.ts";
import type { TextColumn } from "../../lib/column_data.ts";
import { TextTable } from "../text_table.ts";

const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Of a text in a dictionary page. */
const LENGTH_BYTES = 4;

export class Names {
  readonly #numbers = new Map<string, number>([["", 0]]);
  readonly #texts = [""];
  /** Texts as they lie in messages. */
  readonly #table = new TextTable();
  /** By number of the table, as different bytes may be the same text in the lake. */
  readonly #byTable: number[] = [];

  get count(): number {
    return this.#texts.length;
  }

  /** Number of each text of the column's dictionary; what the lake cannot hold is replaced as the ETL job does. */
  numbersOf(column: TextColumn): Int32Array {
    const numbers = this.#table.numbersOf(encodedDictionary(column), null);
    while (this.#byTable.length < this.#table.count) this.#byTable.push(this.#numberOf(this.#textOf(this.#byTable.length)));
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.#byTable[numbers[i]!]!;
    return numbers;
  }

  text(number: number): string {
    return this.#texts[number]!;
  }

  /** Whether a text is after another in the order of SQL, which is that of their bytes in UTF-8. */
  isAfter(number: number, other: number): boolean {
    if (number === other) return false;
    const a = encoder.encode(this.text(number)), b = encoder.encode(this.text(other));
    for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! > b[i]!;
    return a.length > b.length;
  }

  #textOf(tableNumber: number): string {
    return decoder.decode(this.#table.dictionary([tableNumber]).subarray(LENGTH_BYTES));
  }

  #numberOf(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
  }
}
