/**
 * Puts damaged files of a lake right: each data file is made again, with the same rows, from what they came from: those of `flow`,
 * `dead_letter` and `agent_loss` from the topic, minutes of edges from the topic or from `flow`, hours and days of edges from minutes. What cannot be
 * made again is given up only where somebody has said so.
 */

import { log } from "../../lib/log.ts";
import { openConsumer } from "../../lib/topic/open.ts";
import type { TopicConsumer } from "../../lib/topic/topic.ts";
import { checkFiles } from "../audit/files.ts";
import { compactLock } from "../compact.ts";
import { Database } from "../duckdb.ts";
import { type AddFile, LakeError, type Snapshot } from "../lake/delta_log.ts";
import { Lease } from "../lake/lease.ts";
import { assertTables } from "../lake/prepare.ts";
import { replace } from "../lake/replace.ts";
import { dataFilePath, readTable, type TableDefinition, tableDirectory } from "../lake/table.ts";
import { AGENT_LOSS, CONVERSATION_1M, DEAD_LETTER, EDGE_1D, EDGE_1H, EDGE_1M, FLOW } from "../lake/tables.ts";
import { withLock } from "../lock.ts";
import { restoreEdges } from "./edge_1m.ts";
import { restoreFlow } from "./flow.ts";
import { isAccepted, type Loss, lossError } from "./loss.ts";
import { Origins } from "./origins.ts";
import { type Restored, type Restorer, rowsOf } from "./restored.ts";
import { restoreSide } from "./side.ts";
import { SumRestorer } from "./sums.ts";
import { restoreVersions } from "./versions.ts";

const MEMORY_LIMIT = "2GB";

export interface RepairOptions {
  /** Topic that the rows came from; null where it is gone. */
  readonly topicUrl: string | null;
  /** What of the lake may be given up, as `Loss.place` has it. */
  readonly acceptedLosses: readonly string[];
}

/** What a repair did. */
export interface RepairResult {
  readonly files: number;
  readonly restoredRows: number;
  readonly lostRows: number;
}

/** Tables whose files are made again one by one, in the order in which one is made from another. */
const RESTORERS: readonly (readonly [TableDefinition, Restorer])[] = [
  [FLOW, restoreFlow],
  [DEAD_LETTER, restoreSide],
  [AGENT_LOSS, restoreSide],
  [EDGE_1M, restoreEdges],
  [CONVERSATION_1M, () => Promise.resolve({ add: null, why: null })], // compaction finds them again in flows
];

/**
 * Replaces every data file that is missing, cut short or no Parquet.
 *
 * @returns Null where a compaction, a vacuum or another repair is at work.
 * @throws {LakeError} If something is gone for good, and that is not accepted; the rest is put right all the same.
 * @throws {TopicError} If the topic cannot be read.
 */
export async function repairLake(lake: string, options: RepairOptions): Promise<RepairResult | null> {
  assertTables(lake);
  const folder = `${lake}/_staging/repair-${crypto.randomUUID()}`;
  return await withLock(compactLock(lake), async () => {
    using _lease = await Lease.forWriting(lake);
    await Deno.mkdir(folder, { recursive: true });
    try {
      using database = await Database.open({ memoryLimit: MEMORY_LIMIT, temporaryDirectory: folder });
      await using consumer = options.topicUrl === null ? null : await openConsumer(options.topicUrl);
      return await new Repair({ lake, folder, database, consumer, options }).run();
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

interface RepairConfig {
  readonly lake: string;
  readonly folder: string;
  readonly database: Database;
  readonly consumer: TopicConsumer | null;
  readonly options: RepairOptions;
}

class Repair {
  readonly #config: RepairConfig;
  readonly #losses: Loss[] = [];
  #files = 0;
  #restoredRows = 0;
  #lostRows = 0;

  constructor(config: RepairConfig) {
    this.#config = config;
  }

  async run(): Promise<RepairResult> {
    const { lake, options } = this.#config;
    await restoreVersions(lake, options.acceptedLosses);
    for (const [definition, restorer] of RESTORERS) await this.#restoreFiles(definition, restorer);
    for (const definition of [EDGE_1H, EDGE_1D]) await this.#restoreDays(definition);
    if (this.#losses.length > 0) throw lossError(lake, options.topicUrl, this.#losses);
    return { files: this.#files, restoredRows: this.#restoredRows, lostRows: this.#lostRows };
  }

  async #restoreFiles(definition: TableDefinition, restorer: Restorer): Promise<void> {
    const { lake, database, folder, consumer } = this.#config, directory = tableDirectory(lake, definition);
    const found = await this.#damaged(definition);
    if (found.damaged.length === 0) return;
    const origins = await Origins.read(directory), readable = new Map(found.readable);
    let snapshot = found.snapshot;
    const { damaged } = found, task = { lake, folder, database, consumer, definition, directory, damaged, readable, origins };
    for (const file of damaged) {
      const restored = await restorer({ ...task, file });
      const committed = await this.#commit(definition, snapshot, file, restored);
      if (committed === null) continue;
      snapshot = committed;
      if (restored.add !== null) readable.set(dataFilePath(directory, restored.add.path), restored.add);
    }
  }

  /** Null where what is lost is not accepted: then nothing is changed. */
  async #commit(definition: TableDefinition, snapshot: Snapshot, file: AddFile, { add, why }: Restored): Promise<Snapshot | null> {
    const { lake, database, options } = this.#config, directory = tableDirectory(lake, definition);
    const place = `${definition.name}/${folderOf(definition, file)}`;
    const restored = add === null ? 0 : rowsOf(add), lost = why === null ? 0 : Math.max(0, rowsOf(file) - restored);
    if (why !== null && !isAccepted(options.acceptedLosses, place)) {
      this.#losses.push({ place, rows: rowsOf(file), why });
      if (add !== null) await Deno.remove(dataFilePath(directory, add.path));
      return null;
    }
    const parameters = { file: file.path, rows: String(restored), lost: String(lost) };
    const adds = add === null ? [] : [add];
    const replacement = { operation: "RESTORE", parameters, removes: [file], adds, dataChange: why !== null, transactions: new Map() };
    const committed = await replace(directory, definition, snapshot, replacement, database);
    if (committed === null) {
      throw new LakeError(`Cannot restore file "${dataFilePath(directory, file.path)}": it was replaced meanwhile; start again`);
    }
    log(why === null ? "info" : "warn", "jobs", "restored", { file: `${definition.name}/${file.path}`, rows: restored, lost });
    this.#files++;
    this.#restoredRows += restored;
    this.#lostRows += lost;
    return committed;
  }

  /** Hours or days of edges: a day's sums are made anew, with those of minutes that were not added up yet. */
  async #restoreDays(definition: TableDefinition): Promise<void> {
    const { lake, database } = this.#config, { damaged, snapshot } = await this.#damaged(definition);
    if (damaged.length === 0) return;
    const sums = await SumRestorer.open(
        database,
        lake,
        definition,
        !this.#losses.some(({ place }) => place.startsWith(`${EDGE_1H.name}/`)),
      ),
      restorable = new Map<string, readonly AddFile[]>();
    let latest = snapshot;
    for (const [date, files] of Map.groupBy(damaged, ({ partitionValues }) => partitionValues["date"] ?? "")) {
      const why = sums.obstacle(date);
      if (why === null) restorable.set(date, files);
      else for (const file of files) latest = await this.#commit(definition, latest, file, { add: null, why }) ?? latest;
    }
    if (restorable.size === 0) return;
    await sums.restore([...restorable.keys()]);
    const files = [...restorable.values()].flat(), rows = files.reduce((sum, file) => sum + rowsOf(file), 0);
    log("info", "jobs", "restored", { table: definition.name, days: restorable.size, rows });
    this.#files += files.length;
    this.#restoredRows += rows;
  }

  async #damaged(definition: TableDefinition) {
    const { lake, database } = this.#config, directory = tableDirectory(lake, definition);
    const snapshot = await readTable(directory, definition, database);
    const { readable } = await checkFiles(database, definition.name, directory, snapshot, "");
    const damaged = [...snapshot.files.values()].filter(({ path }) => !readable.has(dataFilePath(directory, path)));
    return { snapshot, readable, damaged };
  }
}

/** As the file's path has it: "date=2026-01-02/hour=3". */
function folderOf({ partitionColumns }: TableDefinition, { partitionValues }: AddFile): string {
  return partitionColumns.map((name) => `${name}=${partitionValues[name] ?? ""}`).join("/");
}
