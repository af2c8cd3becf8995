/** Keeps messages that gave no rows in the table `dead_letter`, each exactly once, with its offset and the reason. */

import { log } from "../lib/log.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import type { Database } from "./duckdb.ts";
import { append } from "./lake/append.ts";
import type { Cut } from "./lake/cut_journal.ts";
import { writeDataFile } from "./lake/data_file.ts";
import type { Snapshot } from "./lake/delta_log.ts";
import { formatOffsets, OFFSETS_TAG } from "./lake/offsets.ts";
import { createTableView, readTableHead, refreshTable, tableDirectory } from "./lake/table.ts";
import { DEAD_LETTER } from "./lake/tables.ts";
import { sqlText } from "./sql_text.ts";
import type { DeadLetter } from "./stage.ts";

/** Text of values in one insert statement. */
const INSERT_LENGTH_MAX = 1 << 20;

export class DeadLetters {
  readonly #lake: string;
  readonly #directory: string;
  readonly #database: Database;
  readonly #topicName: string;
  #snapshot: Snapshot;
  /** Messages, as "PARTITION:OFFSET", that are kept already but whose offsets are not committed to `flow`: a crash came between. */
  #known: ReadonlySet<string> = new Set();

  private constructor(lake: string, database: Database, topicName: string, snapshot: Snapshot) {
    this.#lake = lake;
    this.#directory = tableDirectory(lake, DEAD_LETTER);
    this.#database = database;
    this.#topicName = topicName;
    this.#snapshot = snapshot;
  }

  /** @throws {LakeError} If the table cannot be read. */
  static async open(lake: string, database: Database, topicName: string): Promise<DeadLetters> {
    const snapshot = await readTableHead(tableDirectory(lake, DEAD_LETTER), DEAD_LETTER, database);
    return new DeadLetters(lake, database, topicName, snapshot);
  }

  /**
   * Looks up what is kept already of the messages to be read.
   *
   * @param landed By partition, the next offset as `flow` has it.
   */
  async begin(landed: (partition: number) => bigint | undefined): Promise<void> {
    this.#snapshot = await refreshTable(this.#directory, DEAD_LETTER, this.#snapshot);
    const prefix = `skyfall-etl:${this.#topicName}:`;
    const ahead = [...this.#snapshot.transactions].filter(([id]) => id.startsWith(prefix)).map(([id, to]) => {
      const partition = Number(id.slice(prefix.length));
      return { partition, from: landed(partition) ?? 0n, to };
    }).filter(({ from, to }) => to > from);
    if (ahead.length === 0) {
      this.#known = new Set();
      return;
    }
    await createTableView(this.#database, this.#lake, DEAD_LETTER);
    const ranges = ahead.map(({ partition, from }) => `(src_partition = ${partition} and src_offset >= ${from})`).join(" or ");
    const rows = await this.#database.rows(
      `select concat(src_partition, ':', src_offset) as place from dead_letter where src_topic = ${
        sqlText(this.#topicName)
      } and (${ranges})`,
    );
    this.#known = new Set(rows.map(({ place }) => String(place)));
  }

  /** Whether the message is kept already. */
  has({ partition, offset }: TopicMessage): boolean {
    return this.#known.size > 0 && this.#known.has(`${partition}:${offset}`);
  }

  /**
   * Commits messages of a cut that gave no rows.
   *
   * @param transactions By application id, the offset after the cut.
   * @returns False where another writer has taken in some of the same messages.
   * @throws {LakeError} If the disk fails or is full.
   */
  async keep(letters: readonly DeadLetter[], cut: Cut, transactions: ReadonlyMap<string, bigint>): Promise<boolean> {
    if (letters.length === 0) return true;
    await stageLetters(this.#database, this.#topicName, letters, cut.ingestTime);
    const spans = [...cut.ranges].map(([partition, [from, to]]) => ({ topicName: this.#topicName, partition, from, to }));
    const add = await writeDataFile(this.#database, this.#directory, DEAD_LETTER, {
      select: STAGED_LETTERS,
      name: cut.file,
      partition: { date: cut.ingestTime.slice(0, 10) },
      tags: { [OFFSETS_TAG]: formatOffsets(spans) },
    });
    const parameters = { rows: String(letters.length), reason: cut.reason };
    const committed = await append(
      this.#directory,
      DEAD_LETTER,
      this.#snapshot,
      { operation: "STREAMING UPDATE", parameters, adds: [add], transactions },
      this.#database,
    );
    if (committed === null) return false;
    this.#snapshot = committed;
    for (const { message: { partition, offset }, reason } of letters) {
      log("warn", "jobs", "message set aside", { topic: this.#topicName, partition, offset: String(offset), reason });
    }
    return true;
  }
}

/** SQL that gives the rows of what was staged. */
export const STAGED_LETTERS = "from staged_letter order by src_partition, src_offset";

/** Makes the table of these rows. */
export async function stageLetters(
  database: Database,
  topicName: string,
  letters: readonly DeadLetter[],
  ingestTime: string,
): Promise<void> {
  const columns = DEAD_LETTER.columns.map(({ name, type }) => `${name} ${type}`).join(", ");
  await database.run(`create or replace temp table staged_letter (${columns})`);
  let values: string[] = [], length = 0;
  const insert = async () => {
    if (values.length > 0) await database.run(`insert into staged_letter values ${values.join(", ")}`);
    values = [];
    length = 0;
  };
  for (const { message: { partition, offset, value }, reason } of letters) {
    const row = [
      sqlText(topicName),
      partition,
      offset,
      sqlText(reason.replaceAll("\0", "\ufffd")),
      `unhex('${value.toHex()}')`,
      `'${ingestTime}'`,
    ];
    length += values[values.push(`(${row.join(", ")})`) - 1]!.length;
    if (length > INSERT_LENGTH_MAX) await insert();
  }
  await insert();
}
