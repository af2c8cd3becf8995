/** Proves that the lake holds each message of the topic once, or says what is wrong, where, and what puts it right. */

import { log } from "../../lib/log.ts";
import { openConsumer } from "../../lib/topic/open.ts";
import { Database } from "../duckdb.ts";
import { LakeError, listLog, type Snapshot } from "../lake/delta_log.ts";
import { Lease } from "../lake/lease.ts";
import { assertTables } from "../lake/prepare.ts";
import type { AsOf } from "../lake/time_travel.ts";
import { holdEarlier } from "../query.ts";
import { createFilesView, readTable, tableDirectory } from "../lake/table.ts";
import { AGENT_LOSS, EDGE_1M, FLOW, TABLES } from "../lake/tables.ts";
import { sqlText } from "../sql_text.ts";
import { checkCommits, checkMessages, checkTags, type Progress, readContent } from "./content.ts";
import { type CheckedFiles, checkFiles } from "./files.ts";
import { checkEdges } from "./edges.ts";
import type { Check } from "./finding.ts";
import { checkLosses, droppedDays } from "./losses.ts";
import { checkOwnCommits } from "./own_commits.ts";
import { checkTiling, type History, readHistory } from "./history.ts";
import { checkTopic, type KnownTopic } from "./topic.ts";

/** What is more goes to the disk: 100 M rows leave a few hundred thousand messages to compare. */
const MEMORY_LIMIT = "2GB";
const APPLICATION = /^skyfall-etl:(.*):(\d+)$/;
const LAST_MESSAGE = /^skyfall-etl-last:(.*):(\d+)$/;

/**
 * Audits a lake, beside writers that are at work: of each table the version is looked at that is newest when the audit begins, or was
 * newest then.
 *
 * @param topicUrl The topic that it is read from; without it only what the lake says of itself is compared.
 * @param asOf Which earlier state of the lake is audited; null for the newest.
 * @throws {LakeError} If there is no lake, its log cannot be read, or its earlier state is not there any more.
 * @throws {TopicError} If the topic cannot be read.
 */
export async function auditLake(
  lake: string,
  topicUrl: string | null,
  progress: (what: string, done: number, all: number) => void,
  asOf: AsOf | null = null,
): Promise<Check[]> {
  assertTables(lake);
  const temporaryDirectory = await Deno.makeTempDir({ prefix: "skyfall-" });
  try {
    using lease = await Lease.forReading(lake);
    using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory });
    await database.run("set enable_external_file_cache = false"); // each byte is read once: kept, a large lake would fill the memory
    const versions = asOf === null ? null : await holdEarlier(database, lake, asOf, lease);
    return await auditTables(database, { lake, topicUrl, versions }, (what) => (done, all) => progress(what, done, all));
  } finally {
    await Deno.remove(temporaryDirectory, { recursive: true });
  }
}

interface Audited {
  readonly lake: string;
  readonly topicUrl: string | null;
  /** By table; null for the newest. */
  readonly versions: ReadonlyMap<string, bigint> | null;
}

async function auditTables(
  database: Database,
  { lake, topicUrl, versions }: Audited,
  progressOf: (what: string) => Progress,
): Promise<Check[]> {
  const topic = topicUrl ?? "URL";
  const repair = `restore it from a copy, or jobs repair --lake ${lake} --topic ${topic}`;
  const again = `make the lake again from its topic, beside this one: jobs run etl --topic ${topic} --lake ${lake}-again`;
  const checks: Check[] = [checkOwnCommits(lake)];
  const files = new Map<string, CheckedFiles>();
  let flow: Snapshot | null = null;
  // Dead letters of a commit may be written before it: so they are read after the rows.
  for (const definition of TABLES) {
    const directory = tableDirectory(lake, definition);
    const snapshot = await readTable(directory, definition, database, versions?.get(definition.name));
    if (snapshot.version < 0n) {
      await createFilesView(database, definition, []);
      continue;
    }
    const checked = await checkFiles(database, definition.name, directory, snapshot, repair);
    files.set(definition.name, checked);
    checks.push(checked.check);
    if (definition === FLOW) flow = snapshot;
    // The rows of flow are read file by file.
    await createFilesView(database, definition, definition === FLOW ? [] : [...checked.readable.keys()]);
  }
  if (flow === null) {
    throw new LakeError(
      `Cannot audit lake "${lake}": there is no table "flow" in it; make it with "jobs run etl --topic URL --lake ${lake}"`,
    );
  }
  const directory = tableDirectory(lake, FLOW), { readable } = files.get(FLOW.name)!;
  const history = await readHistory(directory, listLog(directory).versions.filter((version) => version <= flow.version));
  checks.push(checkTiling(history, flow.transactions, again));
  const unreadable = await readContent(
    database,
    readable,
    ({ tags }) => topicUrl !== null || tags?.["skyfall.checksum"] !== undefined,
    repair,
    progressOf("rows"),
  );
  const tags = await checkTags(database, readable, repair);
  checks.push({ ...tags, problems: [...unreadable, ...tags.problems] });
  checks.push(await checkMessages(database, readable, history, again), await checkCommits(database, history, again));
  if (topicUrl !== null) {
    await using consumer = await openConsumer(topicUrl);
    const next = nextOffsets(flow, consumer.topicName);
    if (next.size === 0) log("warn", "jobs", "the lake has nothing of this topic", { topic: consumer.topicName });
    const dropped = {
      hours: history.droppedHours,
      days: await droppedDays(tableDirectory(lake, AGENT_LOSS), versions?.get(AGENT_LOSS.name)),
    };
    checks.push(
      await checkTopic(database, consumer, next, dropped, again, progressOf("messages"), knownTopic(flow, history, consumer.topicName)),
    );
  }
  checks.push(await checkLosses(database));
  if (files.has(EDGE_1M.name)) {
    for (const definition of [FLOW, EDGE_1M]) {
      await createFilesView(database, { ...definition, name: `all_${definition.name}` }, [...files.get(definition.name)!.readable.keys()]);
    }
    await createLanded(database, flow);
    checks.push(await checkEdges(database, lake, history.droppedHours, progressOf("hours of edges")));
  }
  return checks;
}

/** The table `landed`: by topic and partition, the offset before which everything is in `flow`. */
async function createLanded(database: Database, { transactions }: Snapshot): Promise<void> {
  await database.run("create or replace table landed (topic varchar, partition integer, after bigint)");
  for (const [id, offset] of transactions) {
    const match = APPLICATION.exec(id);
    if (match !== null) await database.run(`insert into landed values (${sqlText(match[1]!)}, ${match[2]}, ${offset})`);
  }
}

/** By partition of the topic, the offset at which the next run goes on. */
function nextOffsets({ transactions }: Snapshot, topicName: string): Map<number, bigint> {
  const next = new Map<number, bigint>();
  for (const [id, offset] of transactions) {
    const match = APPLICATION.exec(id);
    if (match?.[1] === topicName) next.set(Number(match[2]), offset);
  }
  return next;
}

function knownTopic({ transactions }: Snapshot, { otherMessages }: History, topicName: string): KnownTopic {
  const numbers = new Map<number, bigint>();
  for (const [id, number] of transactions) {
    const match = LAST_MESSAGE.exec(id);
    if (match?.[1] === topicName) numbers.set(Number(match[2]), number);
  }
  const ofTopic = otherMessages.filter((other) => other.topic === topicName);
  return { numbers, othersBefore: new Map(ofTopic.map(({ partition, before }) => [partition, before])) };
}
