/**
 * Puts damaged data files of `flow` right: their rows are read from the topic again, and one commit for each hour replaces the
 * files. Rows of the hour that other files hold are not taken twice.
 */

import { log } from "../lib/log.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { MissingMessagesError, type TopicConsumer } from "../lib/topic/topic.ts";
import { checkFiles } from "./audit/files.ts";
import { Database } from "./duckdb.ts";
import { writeDataFile } from "./lake/data_file.ts";
import { ENGINE } from "./lake/append.ts";
import { type AddFile, commitVersion, LakeError, listLog, type Snapshot, versionFile } from "./lake/delta_log.ts";
import { Lease } from "./lake/lease.ts";
import { replace } from "./lake/replace.ts";
import { dataFilePath, readTable, tableDirectory } from "./lake/table.ts";
import { CONVERSATION_1M, FLOW, TABLES } from "./lake/tables.ts";
import { withLock } from "./lock.ts";
import { sqlList } from "./sql_text.ts";
import { Stage, StageTables } from "./stage.ts";

const MEMORY_LIMIT = "2GB";
const READ_BYTES_MAX = 16 * 1024 * 1024;
/** Rows that are kept in memory until they are written. */
const STAGE_ROWS_MAX = 1_000_000;
const PLACE = "src_topic, src_partition, src_offset, src_index";

export interface RepairOptions {
  /** Topic that the rows came from; null where it is gone. */
  readonly topicUrl: string | null;
  /** Whether rows that the topic no longer has are given up, and versions that a log lacks. */
  readonly acceptsLoss: boolean;
}

/** What a repair did. */
export interface RepairResult {
  readonly files: number;
  readonly restoredRows: number;
  readonly lostRows: number;
}

/** Damaged files of one hour. */
interface Damage {
  readonly partition: { readonly date: string; readonly hour: string };
  readonly files: readonly AddFile[];
}

/**
 * Replaces every data file that is missing, cut short or no Parquet.
 *
 * @returns Null where another repair is at work.
 * @throws {LakeError} If a table other than `flow` is damaged, or rows are gone for good, and that is not accepted.
 * @throws {TopicError} If the topic cannot be read.
 */
export async function repairLake(lake: string, options: RepairOptions): Promise<RepairResult | null> {
  const folder = `${lake}/_staging/repair-${crypto.randomUUID()}`;
  return await withLock(`${lake}/_locks/repair`, async () => {
    await Deno.mkdir(folder, { recursive: true });
    try {
      using _lease = await Lease.forWriting(lake);
      using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: folder });
      return await repairTables(lake, folder, database, options);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function repairTables(lake: string, folder: string, database: Database, options: RepairOptions): Promise<RepairResult> {
  let files = 0, restoredRows = 0, lostRows = 0;
  for (const definition of TABLES) {
    const directory = tableDirectory(lake, definition);
    if (options.acceptsLoss) await fillHoles(directory);
    const snapshot = await readTable(directory, definition, database);
    const { readable } = await checkFiles(database, definition.name, directory, snapshot, "");
    const damaged = [...snapshot.files.values()].filter(({ path }) => !readable.has(dataFilePath(directory, path)));
    if (damaged.length === 0) continue;
    const restorer = new Restorer({ lake, folder, database, directory, options, readable });
    if (definition !== FLOW) {
      if (definition !== CONVERSATION_1M && !options.acceptsLoss) { // conversations are found again from the flows
        throw new LakeError(
          `Cannot restore ${damaged.length} files of table "${definition.name}", "${
            damaged[0]!.path
          }" first: only rows of "flow" are in the topic; restore them from a copy, or give them up with "jobs repair --accept-loss"`,
        );
      }
      const rows = rowsOf(damaged);
      const dropped = { operation: "RESTORE", parameters: { rows: "0", lost: String(rows) }, adds: [], transactions: new Map() };
      if (await replace(directory, definition, snapshot, { ...dropped, removes: damaged, dataChange: true }, database) === null) continue;
      if (definition !== CONVERSATION_1M) lostRows += rows;
    } else {
      for (const damage of byHour(damaged)) {
        const { restored, lost } = await restorer.restore(await readTable(directory, FLOW, database), damage);
        restoredRows += restored;
        lostRows += lost;
      }
    }
    files += damaged.length;
  }
  return { files, restoredRows, lostRows };
}

/** Puts an empty commit where the log lacks one: what it brought is given up, and the audit names the offsets. */
async function fillHoles(directory: string): Promise<void> {
  const { versions, checkpoints } = listLog(directory);
  const present = new Set(versions), newest = versions.at(-1);
  if (newest === undefined) return;
  for (let version = (checkpoints.at(-1)?.version ?? -1n) + 1n; version < newest; version++) {
    if (present.has(version)) continue;
    const commitInfo = { timestamp: Date.now(), operation: "ACCEPT MISSING VERSION", operationParameters: {}, engineInfo: ENGINE };
    if (await commitVersion(directory, version, [{ commitInfo }])) {
      log("warn", "jobs", "missing version given up", { file: versionFile(version) });
    }
  }
}

function byHour(files: readonly AddFile[]): Damage[] {
  const hours = Map.groupBy(files, ({ partitionValues: { date, hour } }) => `${date} ${hour}`);
  return [...hours].map(([key, files]) => ({ partition: { date: key.split(" ")[0]!, hour: key.split(" ")[1]! }, files }));
}

function rowsOf(files: readonly AddFile[]): number {
  return files.reduce((sum, { tags, stats }) => sum + Number(tags?.["skyfall.rows"] ?? (stats ? JSON.parse(stats).numRecords : 0)), 0);
}

interface RestorerConfig {
  readonly lake: string;
  readonly folder: string;
  readonly database: Database;
  readonly directory: string;
  readonly options: RepairOptions;
  /** By path on disk. */
  readonly readable: ReadonlyMap<string, AddFile>;
}

class Restorer {
  readonly #config: RestorerConfig;

  constructor(config: RestorerConfig) {
    this.#config = config;
  }

  async restore(snapshot: Snapshot, damage: Damage): Promise<{ readonly restored: number; readonly lost: number }> {
    const { database, directory, options, lake } = this.#config, { partition: { date, hour }, files } = damage;
    const expected = rowsOf(files), offsets = offsetsOf(files);
    const parts = options.topicUrl === null ? [] : await this.#readAgain(options.topicUrl, offsets, damage);
    const intact = [...this.#config.readable].filter(([, { partitionValues: of }]) => of["date"] === date && of["hour"] === hour);
    const held = intact.length === 0 ? "" : `anti join read_parquet(${sqlList(intact.map(([path]) => path))}, union_by_name = true) held
      using (${PLACE})`;
    const select = `select restored.* from read_parquet(${sqlList(parts)}, hive_partitioning = false) restored ${held}`;
    const add = parts.length === 0 ? null : await writeDataFile(database, directory, FLOW, {
      select,
      name: `part-restored-${crypto.randomUUID()}`,
      partition: { date, hour },
      tags: { "skyfall.offsets": JSON.stringify(Object.fromEntries(offsets)) },
    });
    const restored = Number(add?.tags?.["skyfall.rows"] ?? 0), lost = Math.max(0, expected - restored);
    if (lost > 0 && !options.acceptsLoss) {
      throw new LakeError(
        `Cannot restore file "${directory}/${
          files[0]!.path
        }": of ${expected} rows of hour ${date} ${hour} the topic has ${restored}; restore the file from a copy, or give ${lost} rows up with "jobs repair --lake ${lake} --accept-loss"`,
      );
    }
    const parameters = { files: String(files.length), rows: String(restored), lost: String(lost) };
    const adds = add === null || restored === 0 ? [] : [add];
    const replacement = { operation: "RESTORE", parameters, removes: files, adds, dataChange: true, transactions: new Map() };
    if (await replace(directory, FLOW, snapshot, replacement, database) === null) {
      throw new LakeError(`Cannot restore file "${directory}/${files[0]!.path}": it was replaced meanwhile; start again`);
    }
    log("info", "jobs", "restored", { hour: `${date} ${hour}`, files: files.length, rows: restored, lost });
    return { restored, lost };
  }

  /** Writes the hour's rows of these offsets to files of their own. */
  async #readAgain(url: string, offsets: ReadonlyMap<string, readonly [string, string]>, damage: Damage): Promise<string[]> {
    await using consumer = await openConsumer(url);
    const tables = new StageTables(), paths: string[] = [];
    let stage = new Stage(tables);
    const write = async () => {
      for (const file of stage.files({ topicName: consumer.topicName, ingestTime: new Date().toISOString() })) {
        if (file.partition.date !== damage.partition.date || String(file.partition.hour) !== damage.partition.hour) continue;
        const path = `${this.#config.folder}/${crypto.randomUUID()}.parquet`;
        using out = await Deno.open(path, { write: true, createNew: true });
        for (const part of file.parts) for (let at = 0; at < part.length;) at += await out.write(part.subarray(at));
        paths.push(path);
      }
      stage = new Stage(tables);
    };
    for (const [place, [from, to]] of offsets) {
      const partition = Number(place.slice(place.lastIndexOf(":") + 1));
      if (place !== `${consumer.topicName}:${partition}`) continue;
      for await (const messages of messagesOf(consumer, partition, BigInt(from), BigInt(to))) {
        for (const message of messages) stage.add(message);
        if (stage.rowCount >= STAGE_ROWS_MAX) await write();
      }
    }
    if (stage.rowCount > 0) await write();
    return paths;
  }
}

/** What the topic still has of a range. */
async function* messagesOf(consumer: TopicConsumer, partition: number, from: bigint, to: bigint) {
  const { begin, end } = await consumer.offsets(partition);
  const last = to < end ? to : end;
  for (let offset = from > begin ? from : begin; offset < last;) {
    const found = await consumer.read(partition, offset, READ_BYTES_MAX).catch((error) => {
      if (error instanceof MissingMessagesError) return error;
      throw error;
    });
    if (found instanceof MissingMessagesError) {
      offset = found.to;
      continue;
    }
    if (found.length === 0) return;
    yield found.filter((message) => message.offset < last);
    offset = found.at(-1)!.offset + 1n;
  }
}

/** By "TOPIC:PARTITION", the range that spans those of the files. @throws {LakeError} If a file does not tell. */
function offsetsOf(files: readonly AddFile[]): Map<string, [string, string]> {
  const spans = new Map<string, [bigint, bigint]>();
  for (const { path, tags } of files) {
    const text = tags?.["skyfall.offsets"];
    if (text === undefined) {
      log("warn", "jobs", "file does not tell which messages it held", { file: path });
      continue;
    }
    for (const [place, ranges] of Object.entries<unknown>(JSON.parse(text))) {
      for (const [from, to] of rangesOf(ranges)) {
        const span = spans.get(place);
        spans.set(place, [span === undefined || from < span[0] ? from : span[0], span === undefined || to > span[1] ? to : span[1]]);
      }
    }
  }
  return new Map([...spans].map(([place, [from, to]]) => [place, [String(from), String(to)]]));
}

/** A pair, or several. */
function rangesOf(value: unknown): [bigint, bigint][] {
  if (!Array.isArray(value)) throw new LakeError(`Cannot read offsets "${JSON.stringify(value)}" of a file: needed pairs`);
  const flat: unknown[] = value.flat();
  return Array.from({ length: flat.length / 2 }, (_, i) => [BigInt(String(flat[2 * i])), BigInt(String(flat[2 * i + 1]))]);
}
