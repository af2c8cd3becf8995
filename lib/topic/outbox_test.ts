/** Records on their way to a broker: order, bounds, and what a caller may give again. */

import assert from "node:assert/strict";
import { Outbox } from "./outbox.ts";
import { PublishError, type TopicRecord } from "./topic.ts";

const LONG_MS = 10_000, SHORT_MS = 20;

/** A broker that answers when told to. */
class Answers {
  readonly sent: { readonly lane: number; readonly partition: number; readonly values: readonly number[] }[] = [];
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  readonly outbox: Outbox;

  constructor(laneCount: number, batchBytesMax: number, readonly isQuick: boolean) {
    this.outbox = new Outbox({
      laneCount,
      batchBytesMax,
      send: (lane, partition, values) => {
        this.sent.push({ lane, partition, values: values.map((value) => value[0]!) });
        const answer = Promise.withResolvers<void>();
        if (isQuick) answer.resolve();
        else this.#waiting.push(answer);
        return answer.promise;
      },
      explain: (cause) => ({ message: "Cannot write", cause }),
    });
  }

  get values(): number[] {
    return this.sent.flatMap(({ values }) => values);
  }

  async store(): Promise<void> {
    this.#waiting.shift()!.resolve();
    await settle();
  }

  async fail(): Promise<void> {
    this.#waiting.shift()!.reject(new Error("refused"));
    await settle();
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function record(partition: number, value: number, bytes = 1): TopicRecord {
  return { partition, value: new Uint8Array(bytes).fill(value) };
}

async function left(publishing: Promise<void>): Promise<number[]> {
  try {
    await publishing;
    return [];
  } catch (error) {
    assert(error instanceof PublishError);
    return [...error.unacknowledged].map(({ value }) => value[0]!);
  }
}

Deno.test("Outbox sends batches of one partition, within their bytes, each partition's in order", async () => {
  const answers = new Answers(2, 200, true);
  await answers.outbox.publish(
    [record(0, 1, 50), record(1, 2), record(0, 3, 50), record(2, 4), record(0, 5, 50), record(0, 6, 500)],
    LONG_MS,
  );
  for (const { lane, partition } of answers.sent) assert.equal(lane, partition % 2);
  assert.deepEqual(answers.sent.filter(({ partition }) => partition === 0).map(({ values }) => values), [[1, 3], [5], [6]]);
});

Deno.test("Outbox has one batch a lane under way", async () => {
  const answers = new Answers(2, 1_000, false);
  const publishing = answers.outbox.publish([record(0, 1), record(2, 2), record(1, 3), record(3, 4)], LONG_MS);
  assert.deepEqual(answers.values, [1, 3]);
  await answers.store();
  assert.deepEqual(answers.values, [1, 3, 2]);
  for (let i = 0; i < 3; i++) await answers.store();
  await publishing;
});

Deno.test("Outbox waits for what a call before left under way, and takes back what was not sent", async () => {
  const answers = new Answers(1, 60, false);
  const records = [record(0, 1), record(0, 2), record(0, 3)];
  assert.deepEqual(await left(answers.outbox.publish(records, SHORT_MS)), [1, 2, 3]);
  assert.deepEqual(answers.values, [1]);
  const again = answers.outbox.publish(records, LONG_MS);
  for (let i = 0; i < 3; i++) await answers.store();
  await again;
  assert.deepEqual(answers.values, [1, 2, 3]);
});

Deno.test("Outbox does not send again what was stored between two calls", async () => {
  const answers = new Answers(1, 60, false);
  const records = [record(0, 1)];
  await left(answers.outbox.publish(records, SHORT_MS));
  await answers.store();
  await answers.outbox.publish(records, LONG_MS);
  assert.deepEqual(answers.values, [1]);
});

Deno.test("Outbox names what was not stored, and nothing else", async () => {
  const answers = new Answers(1, 60, false);
  const publishing = left(answers.outbox.publish([record(0, 1), record(1, 2), record(2, 3)], LONG_MS));
  await answers.store();
  await answers.fail();
  await answers.store();
  assert.deepEqual(await publishing, [2]);
});

Deno.test("Outbox sends nothing of a partition past a batch that failed, and all of it in order when asked again", async () => {
  const answers = new Answers(1, 60, false);
  const records = [record(0, 1), record(0, 2), record(1, 3)];
  const publishing = left(answers.outbox.publish(records, LONG_MS));
  await answers.fail();
  await answers.store();
  assert.deepEqual(await publishing, [1, 2]);
  const again = answers.outbox.publish(records.slice(0, 2), LONG_MS);
  await answers.store();
  await answers.store();
  await again;
  assert.deepEqual(answers.values, [1, 3, 1, 2]);
});

Deno.test("Outbox sends again what failed between two calls", async () => {
  const answers = new Answers(1, 60, false);
  const records = [record(0, 1)];
  await left(answers.outbox.publish(records, SHORT_MS));
  await answers.fail();
  const again = answers.outbox.publish(records, LONG_MS);
  await answers.store();
  await again;
  assert.deepEqual(answers.values, [1, 1]);
});
