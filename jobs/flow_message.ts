/** Messages of the topic as rows, or why they give none: every job takes and sets aside the same ones. */

import { decodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { impossibleValue } from "./impossible_value.ts";

/** Rows of a message, or what is wrong with it. */
export function readFlowMessage(value: Uint8Array): FlowBatch | string {
  let batch: FlowBatch;
  try {
    batch = decodeFlowBatch(value);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return error.message;
  }
  const impossible = impossibleValue(batch);
  return impossible === null ? batch : `Cannot take in flow batch: ${impossible}`;
}
