/** Texts as numbers: equal texts have equal numbers, and the empty one has 0. */

const encoder = new TextEncoder();

export class Names {
  readonly #numbers = new Map<string, number>([["", 0]]);
  readonly #texts = [""];

  get count(): number {
    return this.#texts.length;
  }

  /** A NUL, which the lake cannot hold, is replaced as the ETL job does. */
  number(raw: string): number {
    const text = raw.includes("\0") ? raw.replaceAll("\0", "\ufffd") : raw;
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#texts.push(text) - 1;
      this.#numbers.set(text, number);
    }
    return number;
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
}
