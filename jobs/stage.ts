/** Rows on their way from messages to the lake's files: kept as the messages have them, and written as Parquet by the hour. */

import { encodedDictionary, type FlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_COLUMNS } from "../lib/records.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import { AddressTable } from "./address_table.ts";
import type { EncodedRows } from "./lake/data_file.ts";
import { readFlowMessage } from "./flow_message.ts";
import { ParquetFile } from "./parquet/file.ts";
import type { Segment, StagedMessage } from "./gather.ts";
import { encodeRowGroup, type Provenance } from "./row_group.ts";
import { RowGroupStats } from "./row_group_stats.ts";
import type { DeadLetter, ToldLosses } from "./side_rows.ts";
import { TextTable } from "./text_table.ts";
import { FLOW } from "./lake/tables.ts";

/** Hour of the lake's layout, as the texts of its folder. */
export interface StagedPartition {
  readonly date: string;
  readonly hour: number;
}

/** An hour's rows as a Parquet file. */
export interface StagedFile extends EncodedRows {
  readonly partition: StagedPartition;
}

/** Rows of a row group at most, as DuckDB has them. */
export const ROW_GROUP_ROWS = 122_880;
const HOUR_US = 3_600_000_000;
const WORD = 2 ** 32;
const TEXT_COLUMNS = MESSAGE_COLUMNS.filter(({ type }) => type === "VARCHAR");
type TextColumnName = typeof TEXT_COLUMNS[number]["name"];
/** As files name their writer. */
export const CREATED_BY = "Skyfall";
/** Some hundred bytes each. */
const TABLE_VALUES_MAX = 1_000_000;

/** Texts and addresses that have been met. */
export class StageTables {
  #texts = newTextTables();
  #addresses = new AddressTable();

  /** By column. */
  get texts(): ReadonlyMap<TextColumnName, TextTable> {
    return this.#texts;
  }

  get addresses(): AddressTable {
    return this.#addresses;
  }

  /** Forgets everything when it has become too much: commands and addresses come and go for ever. */
  begin(): void {
    const texts = [...this.#texts.values()].reduce((sum, { count }) => sum + count, 0);
    if (texts + this.#addresses.count <= TABLE_VALUES_MAX) return;
    this.#texts = newTextTables();
    this.#addresses = new AddressTable();
  }
}

function newTextTables(): Map<TextColumnName, TextTable> {
  return new Map(TEXT_COLUMNS.map(({ name }) => [name, new TextTable()]));
}

/** Rows of some messages, until they are written. */
export class Stage {
  readonly #tables: StageTables;
  /** By hour since 1970. */
  readonly #hours = new Map<number, Segment[]>();
  readonly deadLetters: DeadLetter[] = [];
  readonly losses: ToldLosses[] = [];
  #rows = 0;

  /** @param tables Kept from stage to stage, as most of what one brings is known from the one before. */
  constructor(tables: StageTables) {
    this.#tables = tables;
    tables.begin();
  }

  get rowCount(): number {
    return this.#rows;
  }

  /** Takes in a message's rows, or keeps the message as a dead letter. */
  add(message: TopicMessage): void {
    const batch = readFlowMessage(message.value);
    if (typeof batch === "string") {
      this.deadLetters.push({ message, reason: batch });
      return;
    }
    const { partition, offset } = message, losses = batch.agentLosses;
    if (losses !== undefined) this.losses.push({ partition, offset, losses });
    const staged = this.#stage(message, batch);
    for (const [hour, rows] of rowsByHour(batch)) {
      const segment = { message: staged, rows, rowCount: rows?.length ?? batch.rowCount };
      const segments = this.#hours.get(hour);
      if (segments === undefined) this.#hours.set(hour, [segment]);
      else segments.push(segment);
    }
    this.#rows += batch.rowCount;
  }

  /** The hours' files, one after the other, so that only one is in memory. */
  *files(provenance: Provenance): Generator<StagedFile> {
    for (const [hour, segments] of this.#hours) {
      const file = new ParquetFile(FLOW.columns, CREATED_BY), stats = new RowGroupStats();
      for (const group of rowGroups(segments)) {
        const rows = group.reduce((sum, { rowCount }) => sum + rowCount, 0);
        const columns = encodeRowGroup(group, rows, provenance, this.#tables);
        stats.add(rows, columns);
        file.addRowGroup(rows, columns.map(({ chunk }) => chunk));
      }
      const start = new Date(hour * HOUR_US / 1_000).toISOString();
      yield {
        partition: { date: start.slice(0, 10), hour: Number(start.slice(11, 13)) },
        parts: file.finish(),
        stats: stats.finish(),
      };
    }
  }

  #stage({ partition, offset }: TopicMessage, batch: FlowBatch): StagedMessage {
    const texts = new Map<string, Int32Array>();
    let leader: Int32Array | null = null;
    for (const [name, table] of this.#tables.texts) {
      const column = batch.columns[name];
      if (!("codes" in column)) continue;
      const dictionary = encodedDictionary(column);
      // As many texts as the column before has: as good as always one for each of them.
      const numbers: Int32Array = table.numbersOf(dictionary, leader?.length === dictionary.offsets.length - 1 ? leader : null);
      texts.set(name, leader = numbers);
    }
    const { client_ip, server_ip } = batch.columns;
    return {
      partition,
      offset: Number(offset),
      batch,
      texts,
      clients: this.#tables.addresses.numbersOf(client_ip.bytes, batch.rowCount),
      servers: this.#tables.addresses.numbersOf(server_ip.bytes, batch.rowCount),
    };
  }
}

/** Rows of each hour that the message has any of; null for all. */
function rowsByHour({ rowCount, columns }: FlowBatch): Map<number, Int32Array | null> {
  const { values } = columns.window_start;
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rowCount);
  const hours = new Float64Array(rowCount);
  let isOne = true;
  for (let i = 0; i < rowCount; i++) {
    hours[i] = Math.floor((words[2 * i + 1]! * WORD + (words[2 * i]! >>> 0)) / HOUR_US);
    if (hours[i] !== hours[0]) isOne = false;
  }
  if (isOne) return new Map([[hours[0]!, null]]);
  const rows = new Map<number, number[]>();
  for (const [i, hour] of hours.entries()) {
    const some = rows.get(hour);
    if (some === undefined) rows.set(hour, [i]);
    else some.push(i);
  }
  return new Map([...rows].map(([hour, some]) => [hour, Int32Array.from(some)]));
}

function* rowGroups(segments: readonly Segment[]): Generator<Segment[]> {
  let group: Segment[] = [], rows = 0;
  for (const segment of segments) {
    if (rows > 0 && rows + segment.rowCount > ROW_GROUP_ROWS) {
      yield group;
      group = [];
      rows = 0;
    }
    group.push(segment);
    rows += segment.rowCount;
  }
  if (rows > 0) yield group;
}
