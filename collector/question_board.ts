/** Questions of the main thread to its workers, in shared memory. */

import { type Question, readQuestion } from "./question.ts";
import { QUESTION_BYTES_MAX, SHARED, SHARED_WORDS_BYTES } from "./worker_protocol.ts";

/** Where the main thread writes, one question at a time: a worker that is late sees the last alone. */
export class QuestionWriter {
  readonly #words: Int32Array;
  readonly #text: Uint8Array;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, SHARED_WORDS_BYTES / 4);
    this.#text = new Uint8Array(shared, SHARED_WORDS_BYTES, QUESTION_BYTES_MAX);
  }

  /**
   * Asks, and returns the question's number.
   *
   * @throws {RangeError} If the question is too long.
   */
  ask(question: Question): number {
    const text = new TextEncoder().encode(JSON.stringify(question));
    if (text.length > QUESTION_BYTES_MAX) throw new RangeError(`Cannot ask: ${text.length} bytes, needed at most ${QUESTION_BYTES_MAX}`);
    Atomics.add(this.#words, SHARED.questionNumber, 1);
    this.#text.set(text);
    Atomics.store(this.#words, SHARED.questionBytes, text.length);
    return Atomics.add(this.#words, SHARED.questionNumber, 1) + 1;
  }
}

/** Where a worker looks between datagrams. */
export class QuestionReader {
  readonly #words: Int32Array;
  readonly #text: Uint8Array;
  #last: number;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, SHARED_WORDS_BYTES / 4);
    this.#text = new Uint8Array(shared, SHARED_WORDS_BYTES, QUESTION_BYTES_MAX);
    this.#last = Atomics.load(this.#words, SHARED.questionNumber);
  }

  /** The question that was asked since the last call, or null. */
  next(): { readonly questionNumber: number; readonly question: Question } | null {
    const questionNumber = Atomics.load(this.#words, SHARED.questionNumber);
    if (questionNumber === this.#last || questionNumber % 2 !== 0) return null;
    const text = new TextDecoder().decode(this.#text.slice(0, Atomics.load(this.#words, SHARED.questionBytes)));
    if (Atomics.load(this.#words, SHARED.questionNumber) !== questionNumber) return null; // overwritten while it was read
    this.#last = questionNumber;
    return { questionNumber, question: readQuestion(text) };
  }
}
