/** Rows on their way from messages to Parquet: a table of numbers, with texts and addresses by reference. */

import { decodeFlowBatch, type FlowBatch } from "../lib/flow_batch.ts";
import { formatAddress, isMappedIpv4 } from "../lib/ip_address.ts";
import { FLOW_COLUMNS, type FlowColumn, MESSAGE_COLUMNS } from "../lib/records.ts";
import type { TopicMessage } from "../lib/topic/topic.ts";
import { type AppendColumn, BIGINT, type Database, type DuckDBType, INTEGER, INTEGER_LIST, TIMESTAMPTZ } from "./duckdb.ts";
import { sqlText } from "./lake/flow_table.ts";

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

/** A text column is a code here; all others are as in the row. */
function stagedType(type: FlowColumn["type"]): { readonly sql: string; readonly duckdb: DuckDBType } {
  switch (type) {
    case "VARCHAR":
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

const STAGED = MESSAGE_COLUMNS.map(({ name, type }) => ({ name, ...stagedType(type) }));
const STAGED_TYPES: readonly DuckDBType[] = [...STAGED.map(({ duckdb }) => duckdb), INTEGER, BIGINT, INTEGER];

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

/** Rows of some messages, staged in DuckDB until they are written. */
export class Stage {
  readonly #database: Database;
  readonly #texts = new Codes<string>();
  readonly #addresses = new Codes<Address>();
  readonly deadLetters: DeadLetter[] = [];
  #rows = 0;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Makes the tables, empty. */
  static async create(database: Database): Promise<Stage> {
    const columns = STAGED.map(({ name, sql }) => `${name} ${sql}`);
    await database.run(
      `create or replace table stage (${columns.join(", ")}, src_partition integer, src_offset bigint, src_index integer)`,
    );
    return new Stage(database);
  }

  get rowCount(): number {
    return this.#rows;
  }

  /** Stages a message's rows, or keeps the message as a dead letter. */
  async add(message: TopicMessage): Promise<void> {
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
    await this.#database.append("stage", STAGED_TYPES, n, [...MESSAGE_COLUMNS.map((column) => this.#toAppend(batch, column)), ...source]);
    this.#rows += n;
  }

  /** Writes what the codes stand for; call it before `selectPartition()`. */
  async finish(): Promise<void> {
    await this.#database.run("create or replace table text (code integer, value varchar)");
    await this.#database.run("create or replace table address (code integer, ip blob, value varchar, type varchar)");
    await this.#insert("text", this.#texts.values.map((text, code) => `(${code}, ${sqlText(text)})`));
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

  /** SQL that selects an hour's rows with all columns of the lake, in the order of the topic. */
  selectPartition({ date, hour }: StagedPartition, topicName: string, ingestTime: string): string {
    const joins: string[] = [];
    const values = FLOW_COLUMNS.map(({ name, type }) => `${this.#expression(name, type, topicName, ingestTime, joins)} as ${name}`);
    return `select ${values.join(", ")} from stage s ${joins.join(" ")}
      where s.window_start >= timestamptz '${date} ${hour}:00:00+00' and s.window_start < timestamptz '${date} ${hour}:00:00+00' + interval 1 hour
      order by s.src_partition, s.src_offset, s.src_index`;
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
    if (type !== "VARCHAR" && type !== "BLOB") return `s.${name}`;
    joins.push(`left join ${type === "BLOB" ? "address" : "text"} ${name} on ${name}.code = s.${name}`);
    return type === "BLOB" ? `${name}.ip` : `${name}.value`;
  }

  #toAppend(batch: FlowBatch, { name }: typeof MESSAGE_COLUMNS[number]): AppendColumn {
    const column = batch.columns[name];
    if ("codes" in column) {
      const codes = column.dictionary.map((text) => this.#texts.code(text, () => text));
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
