/** What the main thread knows of its workers and of the topic, and whether all is well with them. */

import type { Answer } from "./answers.ts";
import type { FlushDelays } from "./flush_delays.ts";
import { type CollectorLedger, ledgerOf, type WorkerAccount } from "./ledger.ts";
import type { Publisher } from "./publish.ts";
import type { Question } from "./question.ts";
import { QuestionWriter } from "./question_board.ts";
import type { RowMessage } from "./rows.ts";
import type { Spool } from "./spool.ts";
import type { WorkerReport } from "./worker_protocol.ts";

/** A worker that has not reported for so long is stuck. */
const SILENT_MS_MAX = 5_000;
/** A topic that has rows waiting and took none for so long is not written. */
const STALLED_MS_MAX = 30_000;
/** Workers look for a question at least ten times a second. */
const ANSWER_MS_MAX = 2_000;

/** A worker as it told last, and how long ago. */
export interface WorkerStatus {
  readonly report: WorkerReport;
  readonly ageMs: number;
}

interface KnownWorker {
  account: WorkerAccount | null;
  eventsHandedOver: number;
  heardMs: number;
}

interface Asked {
  readonly questionNumber: number;
  readonly answers: Map<number, Answer>;
  readonly done: PromiseWithResolvers<void>;
}

export class CollectorStatus {
  readonly #workers: KnownWorker[];
  readonly #publisher: Publisher;
  readonly #spool: Spool | null;
  readonly #board: QuestionWriter;
  #topicMovedMs: number;
  #eventsPublished = 0;
  #asked: Asked | null = null;
  /** Questions wait for each other. */
  #lastAsked: Promise<unknown> = Promise.resolve();

  /** Times are of `performance.now()`. */
  constructor(workers: number, publisher: Publisher, spool: Spool | null, shared: SharedArrayBuffer, nowMs: number) {
    this.#workers = Array.from({ length: workers }, () => ({ account: null, eventsHandedOver: 0, heardMs: nowMs }));
    this.#topicMovedMs = nowMs;
    this.#publisher = publisher;
    this.#spool = spool;
    this.#board = new QuestionWriter(shared);
  }

  onMessages(worker: number, messages: readonly RowMessage[]): void {
    this.#workers[worker]!.eventsHandedOver += messages.reduce((sum, { events }) => sum + events, 0);
  }

  onReport(worker: number, report: WorkerReport, nowMs: number): void {
    const known = this.#workers[worker]!;
    known.heardMs = nowMs;
    known.account = { report, eventsHandedOver: known.eventsHandedOver, eventsHandedOverThen: known.eventsHandedOver };
    const { events_published } = this.#publisher.counts;
    if (events_published !== this.#eventsPublished || this.#waitingEvents() === 0) this.#topicMovedMs = nowMs;
    this.#eventsPublished = events_published;
  }

  onAnswer(worker: number, questionNumber: number, answer: Answer): void {
    if (this.#asked?.questionNumber !== questionNumber) return; // too late
    this.#asked.answers.set(worker, answer);
    if (this.#asked.answers.size === this.#workers.length) this.#asked.done.resolve();
  }

  ledger(): CollectorLedger {
    const accounts = this.#workers.flatMap(({ account, eventsHandedOver }) => account === null ? [] : [{ ...account, eventsHandedOver }]);
    return ledgerOf(accounts, this.#publisher, this.#spool);
  }

  /** By worker; null where one has told nothing yet. */
  workers(nowMs: number): readonly (WorkerStatus | null)[] {
    return this.#workers.map(({ account, heardMs }) => account === null ? null : { report: account.report, ageMs: nowMs - heardMs });
  }

  waiting(): ReturnType<Publisher["waiting"]> {
    return this.#publisher.waiting();
  }

  get flushDelays(): FlushDelays {
    return this.#publisher.delays;
  }

  /** What is wrong, each in a sentence; nothing where all is well. */
  faults(nowMs: number): string[] {
    const faults: string[] = [];
    for (const [worker, { heardMs }] of this.#workers.entries()) {
      if (nowMs - heardMs > SILENT_MS_MAX) faults.push(`worker ${worker} has been silent for ${seconds(nowMs - heardMs)}`);
    }
    const events = this.#waitingEvents(), { bytes } = this.#publisher.waiting();
    if (events > 0 && nowMs - this.#topicMovedMs > STALLED_MS_MAX) {
      faults.push(`the topic has taken nothing for ${seconds(nowMs - this.#topicMovedMs)}, while ${events} events wait`);
    }
    if (this.#publisher.isBlocked) faults.push(`the topic is so far behind that the workers keep their rows: ${bytes} bytes wait`);
    return faults;
  }

  /** In memory and on disk. */
  #waitingEvents(): number {
    return this.#publisher.waiting().events + this.#publisher.spooledEvents;
  }

  get workerCount(): number {
    return this.#workers.length;
  }

  /** Asks every worker; one that does not answer in time is missing. */
  ask(question: Question): Promise<ReadonlyMap<number, Answer>> {
    const answered = this.#lastAsked.then(() => this.#askNow(question));
    this.#lastAsked = answered.catch(() => {}); // whoever asked is told
    return answered;
  }

  async #askNow(question: Question): Promise<ReadonlyMap<number, Answer>> {
    const asked = { questionNumber: this.#board.ask(question), answers: new Map(), done: Promise.withResolvers<void>() };
    this.#asked = asked;
    const timer = setTimeout(() => asked.done.resolve(), ANSWER_MS_MAX);
    await asked.done.promise;
    clearTimeout(timer);
    this.#asked = null;
    return asked.answers;
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
