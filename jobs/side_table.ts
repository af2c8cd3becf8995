/**
 * A table beside `flow` that keeps what else the messages of a cut hold, each exactly once: it is committed with the same offsets, and
 * before `flow`, so that what a crash between leaves is found there and not kept again.
 */

import type { Database } from "./duckdb.ts";
import { append } from "./lake/append.ts";
import type { Cut } from "./lake/cut_journal.ts";
import { writeDataFile } from "./lake/data_file.ts";
import type { AddFile, Snapshot } from "./lake/delta_log.ts";
import { formatOffsets, OFFSETS_TAG } from "./lake/offsets.ts";
import { createTableView, readTableHead, refreshTable, type TableDefinition, tableDirectory } from "./lake/table.ts";
import { sqlText } from "./sql_text.ts";

/** Text of values in one insert statement. */
const INSERT_LENGTH_MAX = 1 << 20;

/** Where a message stands. */
export interface Place {
  readonly partition: number;
  readonly offset: bigint;
}

/** A row to keep. */
export interface SideRow {
  /** UTC day of its partition. */
  readonly date: string;
  /** SQL of the table's columns, in order. */
  readonly values: readonly string[];
}

export class SideTable {
  readonly #lake: string;
  readonly #definition: TableDefinition;
  readonly #directory: string;
  readonly #database: Database;
  readonly #topicName: string;
  #snapshot: Snapshot;
  /** Messages, as "PARTITION:OFFSET", that are kept already but whose offsets are not committed to `flow`: a crash came between. */
  #known: ReadonlySet<string> = new Set();

  private constructor(lake: string, definition: TableDefinition, database: Database, topicName: string, snapshot: Snapshot) {
    this.#lake = lake;
    this.#definition = definition;
    this.#directory = tableDirectory(lake, definition);
    this.#database = database;
    this.#topicName = topicName;
    this.#snapshot = snapshot;
  }

  /**
   * @param definition A table with the columns `src_topic`, `src_partition` and `src_offset`, partitioned by `date`.
   * @throws {LakeError} If the table cannot be read.
   */
  static async open(lake: string, definition: TableDefinition, database: Database, topicName: string): Promise<SideTable> {
    const snapshot = await readTableHead(tableDirectory(lake, definition), definition, database);
    return new SideTable(lake, definition, database, topicName, snapshot);
  }

  /**
   * Looks up what is kept already of the messages to be read.
   *
   * @param landed By partition, the next offset as `flow` has it.
   */
  async begin(landed: (partition: number) => bigint | undefined): Promise<void> {
    this.#snapshot = await refreshTable(this.#directory, this.#definition, this.#snapshot);
    const ahead = [...this.#snapshot.transactions].filter(([id]) => id.startsWith(this.#prefix)).map(([id, to]) => {
      const partition = Number(id.slice(this.#prefix.length));
      return { partition, from: landed(partition) ?? 0n, to };
    }).filter(({ from, to }) => to > from);
    if (ahead.length === 0) {
      this.#known = new Set();
      return;
    }
    await createTableView(this.#database, this.#lake, this.#definition);
    const ranges = ahead.map(({ partition, from }) => `(src_partition = ${partition} and src_offset >= ${from})`).join(" or ");
    const rows = await this.#database.rows(
      `select distinct concat(src_partition, ':', src_offset) as place from ${this.#definition.name} where src_topic = ${
        sqlText(this.#topicName)
      } and (${ranges})`,
    );
    this.#known = new Set(rows.map(({ place }) => String(place)));
  }

  /** Whether what the message holds is kept already. */
  has({ partition, offset }: Place): boolean {
    return this.#known.size > 0 && this.#known.has(`${partition}:${offset}`);
  }

  /**
   * Commits rows of a cut.
   *
   * @param transactions By application id, the offset after the cut.
   * @returns False where another writer has taken in some of the same messages.
   * @throws {LakeError} If the disk fails or is full.
   */
  async keep(rows: readonly SideRow[], cut: Cut, transactions: ReadonlyMap<string, bigint>): Promise<boolean> {
    if (rows.length === 0) return true;
    const spans = [...cut.ranges].map(([partition, [from, to]]) => ({ topicName: this.#topicName, partition, from, to }));
    const adds: AddFile[] = [];
    for (const [date, some] of Map.groupBy(rows, (row) => row.date)) {
      await stageSideRows(this.#database, this.#definition, some);
      adds.push(
        await writeDataFile(this.#database, this.#directory, this.#definition, {
          select: selectStagedRows(this.#definition),
          // Of a cut that is taken up again there may be less to keep than before: what a crash left under its name has other rows.
          name: `${cut.file}-${crypto.randomUUID()}`,
          partition: { date },
          tags: { [OFFSETS_TAG]: formatOffsets(spans) },
        }),
      );
    }
    const parameters = { rows: String(rows.length), reason: cut.reason };
    const committed = await append(
      this.#directory,
      this.#definition,
      this.#snapshot,
      { operation: "STREAMING UPDATE", parameters, adds, transactions: this.#notBack(transactions) },
      this.#database,
    );
    if (committed !== null) this.#snapshot = committed;
    return committed !== null;
  }

  /** The offsets of partitions: where a writer that crashed came further, what it kept is to be found as before. */
  #notBack(transactions: ReadonlyMap<string, bigint>): Map<string, bigint> {
    const offsets = [...transactions].filter(([id]) => id.startsWith(this.#prefix));
    return new Map(offsets.map(([id, to]) => [id, greater(to, this.#snapshot.transactions.get(id) ?? to)]));
  }

  get #prefix(): string {
    return `skyfall-etl:${this.#topicName}:`;
  }
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** SQL that gives what was staged, in the table's order. */
export function selectStagedRows({ sortColumns }: TableDefinition): string {
  return `from staged_side order by ${sortColumns.join(", ")}`;
}

/** Puts rows in a table of the database, in the place of those before. */
export async function stageSideRows(database: Database, definition: TableDefinition, rows: readonly SideRow[]): Promise<void> {
  const columns = definition.columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  await database.run(`create or replace temp table staged_side (${columns})`);
  let values: string[] = [], length = 0;
  const insert = async () => {
    if (values.length > 0) await database.run(`insert into staged_side values ${values.join(", ")}`);
    values = [];
    length = 0;
  };
  for (const row of rows) {
    length += values[values.push(`(${row.values.join(", ")})`) - 1]!.length;
    if (length > INSERT_LENGTH_MAX) await insert();
  }
  await insert();
}
