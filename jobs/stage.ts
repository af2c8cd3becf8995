/**
 * Rows on their way from messages to Parquet: a table in which every text is a value of one enumeration, so that it takes
 * a number's room and no join, and every address a reference.
 */

import { decodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { formatAddress, isMappedIpv4 } from "../lib/ip_address.ts";
import { FLOW_COLUMNS, type FlowColumn, MESSAGE_COLUMNS } from "../lib/records.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import { type AppendColumn, BIGINT, type Database, type DuckDBType, ENUM, INTEGER, INTEGER_LIST, TIMESTAMPTZ } from "./duckdb.ts";
import { sqlText } from "./sql_text.ts";

/** What a message did not hold; it is set aside. */
export interface DeadLetter {
  readonly message: TopicMessage;
  readonly reason: string;
}

/** Hour of the lake's layout, as the texts of its folder. */
export interface StagedPartition {
  readonly date: string;
  readonly hour: number;
}

/** Rows of one insert statement. */
const INSERT_ROWS = 1_000;

/** A text is a value of the enumeration, an address a code, and all else as in the row. */
function stagedType(type: FlowColumn["type"], texts: DuckDBType): { readonly sql: string; readonly duckdb: DuckDBType } {
  switch (type) {
    case "VARCHAR":
      return { sql: "staged_text", duckdb: texts };
    case "BLOB":
    case "INTEGER":
      return { sql: "integer", duckdb: INTEGER };
    case "BIGINT":
      return { sql: "bigint", duckdb: BIGINT };
    case "TIMESTAMPTZ":
      return { sql: "timestamptz", duckdb: TIMESTAMPTZ };
    case "INTEGER[]":
      return { sql: "integer[]", duckdb: INTEGER_LIST };
  }
}

/** Gives equal values equal codes, in order of appearance. */
class Codes<V> {
  readonly #codes = new Map<string, number>();
  readonly values: V[] = [];

  code(key: string, value: () => V): number {
    let code = this.#codes.get(key);
    if (code === undefined) {
      code = this.values.push(value()) - 1;
      this.#codes.set(key, code);
    }
    return code;
  }
}

interface Address {
  readonly text: string;
  readonly hex: string;
  readonly type: "ipv4" | "ipv6";
}

/** A message's rows; texts and addresses are codes of the stage. */
interface StagedMessage {
  readonly rowCount: number;
  readonly columns: readonly AppendColumn[];
}

/** Rows of some messages, staged in DuckDB until they are written. */
export class Stage {
  readonly #database: Database;
  readonly #texts = new Codes<string>();
  readonly #addresses = new Codes<Address>();
  readonly #messages: StagedMessage[] = [];
  readonly deadLetters: DeadLetter[] = [];
  #rows = 0;

  /** Inert; `finish()` makes the tables. */
  constructor(database: Database) {
    this.#database = database;
  }

  get rowCount(): number {
    return this.#rows;
  }

  /** Takes in a message's rows, or keeps the message as a dead letter. */
  add(message: TopicMessage): void {
    let batch: FlowBatch;
    try {
      batch = decodeFlowBatch(message.value);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.deadLetters.push({ message, reason: error.message });
      return;
    }
    const n = batch.rowCount;
    const source = [
      { values: new Int32Array(n).fill(message.partition) },
      { values: new BigInt64Array(n).fill(message.offset) },
      { values: Int32Array.from({ length: n }, (_, i) => i) },
    ];
    this.#messages.push({ rowCount: n, columns: [...MESSAGE_COLUMNS.map((column) => this.#toAppend(batch, column)), ...source] });
    this.#rows += n;
  }

  /** Makes the tables of all messages, once they are known, and with them every text; call it before `selectPartition()`. */
  async finish(): Promise<void> {
    await this.#database.run("drop table if exists stage; drop type if exists staged_text");
    if (this.#rows === 0) return;
    const texts = this.#texts.values, type = ENUM(texts);
    const columns = MESSAGE_COLUMNS.map((column) => ({ name: column.name, ...stagedType(column.type, type) }));
    await this.#database.run(`create type staged_text as enum (${texts.map(sqlText).join(", ")})`);
    await this.#database.run(`create table stage (${columns.map(({ name, sql }) => `${name} ${sql}`).join(", ")},
      src_partition integer, src_offset bigint, src_index integer)`);
    const appender = await this.#database.appender("stage", [...columns.map(({ duckdb }) => duckdb), INTEGER, BIGINT, INTEGER]);
    for (const { rowCount, columns } of this.#messages) {
      appender.append(rowCount, columns.map((column, i) => MESSAGE_COLUMNS[i]?.type === "VARCHAR" ? asEnum(column, texts.length) : column));
    }
    appender.close();
    this.#messages.length = 0;
    await this.#database.run("create or replace table address (code integer, ip blob, value varchar, type varchar)");
    await this.#insert(
      "address",
      this.#addresses.values.map(({ text, hex, type }, code) => `(${code}, unhex('${hex}'), '${text}', '${type}')`),
    );
  }

  /** The hours that rows are of. */
  async partitions(): Promise<StagedPartition[]> {
    const rows = await this.#database.rows(
      "select distinct strftime(window_start, '%Y-%m-%d') as date, extract(hour from window_start)::integer as hour from stage order by all",
    );
    return rows.map(({ date, hour }) => ({ date: String(date), hour: Number(hour) }));
  }

  /** SQL that selects an hour's rows with all columns of the lake, in any order. */
  selectPartition({ date, hour }: StagedPartition, topicName: string, ingestTime: string): string {
    const joins: string[] = [];
    const values = FLOW_COLUMNS.map(({ name, type }) => `${this.#expression(name, type, topicName, ingestTime, joins)} as ${name}`);
    return `select ${values.join(", ")} from stage s ${joins.join(" ")}
      where s.window_start >= timestamptz '${date} ${hour}:00:00+00' and s.window_start < timestamptz '${date} ${hour}:00:00+00' + interval 1 hour`;
  }

  #expression(name: FlowColumn["name"], type: FlowColumn["type"], topicName: string, ingestTime: string, joins: string[]): string {
    switch (name) {
      case "network_type":
        return "client_ip.type";
      case "client_address":
        return "client_ip.value";
      case "server_address":
        return "server_ip.value";
      case "src_topic":
        return sqlText(topicName);
      case "ingest_time":
        return `timestamptz '${ingestTime}'`;
    }
    if (type === "VARCHAR") return `s.${name}::varchar`;
    if (type !== "BLOB") return `s.${name}`;
    joins.push(`left join address ${name} on ${name}.code = s.${name}`);
    return `${name}.ip`;
  }

  #toAppend(batch: FlowBatch, { name }: typeof MESSAGE_COLUMNS[number]): AppendColumn {
    const column = batch.columns[name];
    if ("codes" in column) {
      // SQL ends at a NUL.
      const codes = column.dictionary.map((raw) => raw.replaceAll("\0", "\ufffd")).map((text) => this.#texts.code(text, () => text));
      const values = column.codes.map((code) => code < 0 ? 0 : codes[code]!);
      return { values, valid: Uint8Array.from(column.codes, (code) => code < 0 ? 0 : 1) };
    }
    if ("bytes" in column) {
      return {
        values: Int32Array.from({ length: batch.rowCount }, (_, i) => this.#addressCode(column.bytes.subarray(16 * i, 16 * i + 16))),
      };
    }
    return column;
  }

  #addressCode(bytes: Uint8Array): number {
    const hex = bytes.toHex();
    return this.#addresses.code(hex, () => ({ hex, text: formatAddress(bytes), type: isMappedIpv4(bytes) ? "ipv4" : "ipv6" }));
  }

  async #insert(table: string, values: readonly string[]): Promise<void> {
    for (let start = 0; start < values.length; start += INSERT_ROWS) {
      await this.#database.run(`insert into ${table} values ${values.slice(start, start + INSERT_ROWS).join(", ")}`);
    }
  }
}

/** Codes in the width that DuckDB gives an enumeration of so many values. */
function asEnum(column: AppendColumn, valueCount: number): AppendColumn {
  if (!("valid" in column) || !(column.values instanceof Int32Array)) throw new TypeError("Cannot stage texts: needed codes with validity");
  const { values, valid } = column;
  if (valueCount < 2 ** 8) return { values: new Uint8Array(values), valid };
  return { values: valueCount < 2 ** 16 ? new Uint16Array(values) : new Uint32Array(values), valid };
}
