/** Rows on their way from messages to the lake's files: taken out of the messages at once, and encoded as Parquet by the hour. */

import { encodedDictionary } from "../lib/arrow_columns.ts";
import type { FlowBatch, TextColumn } from "../lib/flow_batch.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import { AddressTable } from "./address_table.ts";
import type { EncodedRows } from "./lake/data_file.ts";
import { readFlowMessage } from "./flow_message.ts";
import { ParquetFile } from "./parquet/file.ts";
import type { SomeRows } from "./column_buffers.ts";
import { type NumberedMessage, RowBuffer, TEXT_COLUMNS, type TextColumnName } from "./row_buffer.ts";
import { type EncodedColumn, encodeRowGroup, type Provenance, withProvenance } from "./row_group.ts";
import { RowGroupStats } from "./row_group_stats.ts";
import type { DeadLetter, ToldLosses } from "./side_rows.ts";
import { TextTable, TextWords } from "./text_table.ts";
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

/** Rows of a row group at most: twice what DuckDB writes, as each has the dictionaries of its texts. */
export const ROW_GROUP_ROWS = 245_760;
const HOUR_US = 3_600_000_000;
const WORD = 2 ** 32;
/** As files name their writer. */
export const CREATED_BY = "Skyfall";
/** Some hundred bytes each. */
const TABLE_VALUES_MAX = 1_000_000;
/** Each as large as a row group; most stages have one hour, or two. */
const SPARE_BUFFERS_MAX = 2;

/** Texts and addresses that have been met, and memory for rows. */
export class StageTables {
  #texts = newTextTables();
  #addresses = new AddressTable();
  readonly #spare: RowBuffer[] = [];

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

  /** Memory for rows, without any. */
  takeRows(): RowBuffer {
    return this.#spare.pop() ?? new RowBuffer();
  }

  giveBack(rows: RowBuffer): void {
    if (this.#spare.length === SPARE_BUFFERS_MAX) return;
    rows.clear();
    this.#spare.push(rows);
  }
}

function newTextTables(): Map<TextColumnName, TextTable> {
  const memory = new TextWords();
  return new Map(TEXT_COLUMNS.map((name) => [name, new TextTable(memory)]));
}

/** Rows of one hour: those of full row groups encoded, the last ones as they came. */
interface Hour {
  readonly groups: RowGroup[];
  rows: RowBuffer;
}

interface RowGroup {
  readonly rows: number;
  readonly columns: readonly EncodedColumn[];
}

/** Rows of some messages, until they are written. */
export class Stage {
  readonly #tables: StageTables;
  /** By hour since 1970. */
  readonly #hours = new Map<number, Hour>();
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
    const numbered = this.#number(message, batch);
    for (const [hour, rows] of rowsByHour(batch)) this.#append(hour, numbered, rows);
    this.#rows += batch.rowCount;
  }

  /** The hours' files, one after the other. */
  *files(provenance: Provenance): Generator<StagedFile> {
    for (const [hour, staged] of this.#hours) {
      this.#closeGroup(staged);
      const file = new ParquetFile(FLOW.columns, CREATED_BY), stats = new RowGroupStats();
      for (const { rows, columns } of staged.groups) {
        const all = withProvenance(columns, rows, provenance);
        stats.add(rows, all);
        file.addRowGroup(rows, all.map(({ chunk }) => chunk));
      }
      const start = new Date(hour * HOUR_US / 1_000).toISOString();
      yield {
        partition: { date: start.slice(0, 10), hour: Number(start.slice(11, 13)) },
        parts: file.finish(),
        stats: stats.finish(),
      };
    }
  }

  #append(hour: number, message: NumberedMessage, rows: SomeRows): void {
    let staged = this.#hours.get(hour);
    if (staged === undefined) this.#hours.set(hour, staged = { groups: [], rows: this.#tables.takeRows() });
    if (staged.rows.rowCount + rows.count > ROW_GROUP_ROWS) {
      this.#closeGroup(staged);
      staged.rows = this.#tables.takeRows();
    }
    staged.rows.append(message, rows);
  }

  #closeGroup({ groups, rows }: Hour): void {
    if (rows.rowCount > 0) groups.push({ rows: rows.rowCount, columns: encodeRowGroup(rows, this.#tables) });
    this.#tables.giveBack(rows);
  }

  #number({ partition, offset }: TopicMessage, batch: FlowBatch): NumberedMessage {
    const { client_ip, server_ip } = batch.columns, { addresses } = this.#tables;
    const clients = addresses.numbersOf(client_ip.bytes, batch.rowCount), servers = addresses.numbersOf(server_ip.bytes, batch.rowCount);
    return { partition, offset: Number(offset), batch, texts: this.#textNumbers(batch, clients, servers), clients, servers };
  }

  #textNumbers({ columns }: FlowBatch, clients: Int32Array, servers: Int32Array): Map<TextColumnName, Int32Array> {
    const numbersOf = (name: TextColumnName, rowLeaders: Int32Array) => {
      const { codes } = columns[name], dictionary = encodedDictionary(columns[name]);
      return this.#tables.texts.get(name)!.numbersOf(dictionary, leadersOf(codes, dictionary.offsets.length - 1, rowLeaders));
    };
    const { codes } = columns.observer_host_id, hosts = numbersOf("observer_host_id", observers(columns.observer_role, clients, servers));
    const hostOfRow = codes.map((code) => code < 0 ? -1 : hosts[code]!);
    const others = TEXT_COLUMNS.filter((name) => name !== "observer_host_id").map((name) => [name, numbersOf(name, hostOfRow)] as const);
    return new Map([["observer_host_id", hosts], ...others]);
  }
}

/** Numbers of the addresses at the rows' own ends. */
function observers({ codes, dictionary }: TextColumn, clients: Int32Array, servers: Int32Array): Int32Array {
  const server = dictionary.indexOf("server");
  return clients.map((client, i) => codes[i] === server ? servers[i]! : client);
}

/** Texts of which each comes in so many rows of a message are few. */
const ROWS_OF_FEW_TEXTS = 32;

/**
 * For each of so many texts a number that is the leader of a row with it, -1 for none: mostly it came with that one before. Null for
 * a column of few texts, where to look is to do more than it saves.
 */
function leadersOf(codes: Int32Array, count: number, rowLeaders: Int32Array): Int32Array | null {
  if (count * ROWS_OF_FEW_TEXTS < codes.length) return null;
  const leaders = new Int32Array(count).fill(-1);
  for (let i = 0; i < codes.length; i++) if (codes[i]! >= 0) leaders[codes[i]!] = rowLeaders[i]!;
  return leaders;
}

/** Rows of each hour that the message has any of. */
function rowsByHour({ rowCount, columns }: FlowBatch): Map<number, SomeRows> {
  const { values } = columns.window_start;
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rowCount);
  const hours = new Float64Array(rowCount);
  let isOne = true;
  for (let i = 0; i < rowCount; i++) {
    hours[i] = Math.floor((words[2 * i + 1]! * WORD + (words[2 * i]! >>> 0)) / HOUR_US);
    if (hours[i] !== hours[0]) isOne = false;
  }
  if (isOne) return new Map([[hours[0]!, { count: rowCount, indexes: null }]]);
  const rows = new Map<number, number[]>();
  for (const [i, hour] of hours.entries()) {
    const some = rows.get(hour);
    if (some === undefined) rows.set(hour, [i]);
    else some.push(i);
  }
  return new Map([...rows].map(([hour, some]) => [hour, { count: some.length, indexes: Int32Array.from(some) }]));
}
