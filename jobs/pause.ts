/** Waiting that ends early where the work is to stop. */

import { setTimeout as sleep } from "node:timers/promises";

/** Waits for so long, or until aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error) => {
    if (!signal.aborted) throw error;
  });
}
