/** Topics and lakes for the jobs' tests. */

import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch, START_US } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";
import type { Row } from "../duckdb.ts";
import { withLake } from "../query.ts";
import { versionFolder } from "./version_fixture.ts";

/** A topic of two partitions, and a place for a lake. */
export interface TestPlace {
  readonly directory: string;
  readonly topic: string;
  readonly lake: string;
}

export async function newPlace(): Promise<TestPlace> {
  const directory = await Deno.makeTempDir();
  return { directory, topic: `sqlite:${directory}/topic.db?partitions=2`, lake: `${directory}/lake` };
}

/** A copy of the topic and the lake that version 1 made: a message of 6 rows in either partition, and one commit. */
export function version1Place(): Promise<TestPlace> {
  return versionPlace(1);
}

/** A copy of the topic and the lake that a schema version made, as `version_fixture.ts` has them. */
export async function versionPlace(version: number): Promise<TestPlace> {
  const place = await newPlace();
  await copyFolder(versionFolder(version).pathname, place.directory);
  return { ...place, topic: place.topic.replace(/\?.*/, "") };
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** Rows of a message of `publishFlows()`. */
export const MESSAGE_ROWS = 50;
const MESSAGE_US = 20 * 60_000_000;

/** Publishes `messages` messages over both partitions; each begins 20 minutes after the one before. */
export async function publishFlows(topic: string, messages: number, seed: number): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = 0; i < messages; i++) {
    await producer.publish([{ partition: i % 2, value: encodeFlowBatch(flowBatch(MESSAGE_ROWS, seed + i, START_US + i * MESSAGE_US)) }]);
  }
}

export function ask(lake: string, sql: string): Promise<readonly Row[]> {
  return withLake(lake, (database) => database.rows(sql));
}
