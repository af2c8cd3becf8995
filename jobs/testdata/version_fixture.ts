/**
 * Topics and lakes of each schema version, so that no later version forgets how to read them. `deno task gen` makes that of the
 * present version where there is none; a fixture that is there is never made again.
 */

import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { FLOW_SCHEMA_VERSION } from "../../lib/records.ts";
import { flowBatch } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";
import { runEtl } from "../etl.ts";

/** Rows of the one message in either partition. */
const MESSAGE_ROWS = 6;
const PARTITIONS = 2;

export function versionFolder(version: number): URL {
  return new URL(`version_${version}/`, import.meta.url);
}

/** Whether the schema version has a topic and a lake. */
export async function hasFixture(version: number): Promise<boolean> {
  try {
    return (await Deno.stat(new URL("lake/flow/_delta_log/", versionFolder(version)))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes `topic.db` and `lake/` of the present version in `folder`. */
async function makeFixture(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const topic = `sqlite:${folder}/topic.db`;
  {
    await using producer = await openProducer(`${topic}?partitions=${PARTITIONS}`);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await producer.publish([{ partition, value: encodeFlowBatch(flowBatch(MESSAGE_ROWS, FLOW_SCHEMA_VERSION + partition)) }]);
    }
  }
  await runEtl(topic, `${folder}/lake`);
}

if (import.meta.main) {
  if (!await hasFixture(FLOW_SCHEMA_VERSION)) {
    await makeFixture(versionFolder(FLOW_SCHEMA_VERSION).pathname);
    console.log(`jobs/testdata/version_${FLOW_SCHEMA_VERSION}`);
  }
  Deno.exit(0);
}
