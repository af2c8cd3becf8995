/** What of Kafka topics needs no broker. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type Callback, type CallbackWithPromise, kPerformWithRetry } from "@platformatic/kafka";
import { PatientProducer } from "./kafka.ts";

const TRIES = 4;

/** Counts the failures that the client hands on from try to try. */
class WatchedProducer extends PatientProducer {
  readonly kept: number[] = [];
  readonly enough = Promise.withResolvers<void>();

  override [kPerformWithRetry]<T>(
    operationId: string,
    operation: (callback: Callback<T>, attempt: number) => void,
    callback: CallbackWithPromise<T>,
    attempt?: number,
    errors: Error[] = [],
    shouldSkipRetry?: (error: Error) => boolean,
    retryLimit?: number,
  ): void | Promise<T> {
    const result = super[kPerformWithRetry](operationId, operation, callback, attempt, errors, shouldSkipRetry, retryLimit);
    this.kept.push(errors.length); // one kept, and one of this try where it fails at once
    if (this.kept.length === TRIES) this.enough.resolve();
    return result;
  }
}

Deno.test("PatientProducer tries on, knows why, and keeps the last failure alone", async () => {
  const producer = new WatchedProducer({ clientId: "test", bootstrapBrokers: ["127.0.0.1:1"] });
  const sending = producer.send({ messages: [{ topic: "flows", partition: 0, value: Buffer.from("a") }] });
  await producer.enough.promise;
  await producer.close();
  await assert.rejects(sending);
  assert.match(String(producer.lastFailure), /Cannot connect to any broker/);
  assert.ok(Math.max(...producer.kept) <= 2, String(producer.kept));
});
