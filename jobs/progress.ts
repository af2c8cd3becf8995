/** How far a long job is: one line that is written over on a terminal, and nothing where there is none. */

const REDRAW_MS = 200;
const encoder = new TextEncoder();

export class Progress {
  readonly #name: string;
  readonly #total: number;
  readonly #unit: string;
  #done = 0;
  #drawnMs = -Infinity;

  constructor(name: string, total: number, unit: string) {
    this.#name = name;
    this.#total = total;
    this.#unit = unit;
  }

  advance(count: number): void {
    this.#done += count;
    if (!Deno.stderr.isTerminal() || performance.now() - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = performance.now();
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${this.#name}: ${this.#done} of ${this.#total} ${this.#unit}`));
  }

  /** Takes the line away. */
  end(): void {
    if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
  }
}
