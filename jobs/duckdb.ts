/** DuckDB, in this process: SQL in, rows out, and columns of typed arrays in. */

import {
  BIGINT,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
  LIST,
  StatementType,
} from "@duckdb/node-api";
import * as bindings from "@duckdb/node-bindings";
import { type Answer, DUCKDB_MACROS, type Engine } from "./portable_sql.ts";

/** What `SELECT` gives: numbers of 64 bits as text, timestamps as "YYYY-MM-DD HH:MM:SS.ffffff+00", lists as arrays. */
export type Row = Readonly<Record<string, unknown>>;

const NUMBER_TYPE = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*\))$/;

/** A column to append: values of the column's width, null where `valid` is 0, or lists as in Arrow. */
export type AppendColumn =
  | { readonly values: Uint8Array | Uint16Array | Uint32Array | Int32Array | BigInt64Array; readonly valid?: Uint8Array }
  | ListColumn;

interface ListColumn {
  readonly offsets: Int32Array;
  readonly values: Int32Array | BigInt64Array;
}

export interface DatabaseConfig {
  /** "4GB" and the like; beyond it DuckDB goes on in the temporary folder. */
  readonly memoryLimit: string;
  readonly temporaryDirectory: string;
  /** What runs at once; as many as there are processors, unless it is given. */
  readonly threads?: number;
}

/** Rows that DuckDB takes in one chunk. */
const CHUNK_ROWS = 2_048;

/** A query that cannot be run; the message is DuckDB's own. */
export class QueryError extends Error {
  override readonly name = "QueryError";

  /** Whether the machine failed, or DuckDB itself, and not the query. */
  get isSystemFailure(): boolean {
    return /^(IO|Out of Memory|INTERNAL|FATAL) Error: /.test(this.message);
  }
}

/** A database in memory. */
export class Database implements Disposable, Engine {
  readonly macros = DUCKDB_MACROS;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async open({ memoryLimit, temporaryDirectory, threads }: DatabaseConfig): Promise<Database> {
    const instance = await DuckDBInstance.create(":memory:", {
      memory_limit: memoryLimit,
      temp_directory: temporaryDirectory,
      ...(threads === undefined ? {} : { threads: String(threads) }),
      // Nothing is downloaded, and nothing that a query names may be.
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    const connection = await instance.connect();
    await connection.run("set TimeZone = 'UTC'; set enable_progress_bar = true; set enable_progress_bar_print = false");
    return new Database(instance, connection);
  }

  /** @throws {QueryError} If DuckDB refuses or fails. */
  async run(sql: string): Promise<void> {
    await explained(() => this.#connection.run(sql));
  }

  /** As `Engine.keep()`. @throws {QueryError} If DuckDB refuses or fails. */
  async keep(view: string): Promise<void> {
    await this.run(`create or replace temporary table kept_${view} as select * from ${view}`);
    await this.run(`create or replace temporary view ${view} as select * from kept_${view}`);
  }

  /** All rows of a query. @throws {QueryError} If DuckDB refuses or fails. */
  async rows(sql: string): Promise<readonly Row[]> {
    return (await this.table(sql)).rows;
  }

  /** All rows of a query with its columns, in order. @throws {QueryError} as above. */
  async table(sql: string): Promise<Answer> {
    const reader = await explained(() => this.#connection.runAndReadAll(sql));
    const types = reader.columnTypes().map(String);
    const columns = reader.columnNames().map((name, i) => ({ name, isNumber: NUMBER_TYPE.test(types[i]!) }));
    return { columns, rows: reader.getRowObjectsJson() as Row[] };
  }

  /**
   * All rows of a query of somebody else's, which may only read: one statement, SELECT or EXPLAIN of one.
   *
   * @throws {QueryError} If it is anything else, DuckDB refuses or fails, or it takes longer than `timeoutMs`.
   */
  async ask(sql: string, timeoutMs: number): Promise<Answer> {
    await this.#assertReads(sql);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.interrupt();
    }, timeoutMs);
    try {
      return await this.table(sql);
    } catch (error) {
      if (!isLate || !(error instanceof QueryError)) throw error;
      throw new QueryError(
        `Cannot answer within ${timeoutMs / 1_000} s: needed a shorter time, fewer rows, or a longer --timeout-seconds`,
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  async #assertReads(sql: string): Promise<void> {
    const statements = await explained(() => this.#connection.extractStatements(sql));
    const type = statements.count === 1 ? (await explained(() => statements.prepare(0))).statementType : StatementType.INVALID;
    if (type === StatementType.SELECT) return;
    // EXPLAIN ANALYZE runs what it explains.
    if (type === StatementType.EXPLAIN) return await this.#assertReads(sql.replace(/^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?/i, ""));
    const found = statements.count === 1 ? `it is ${StatementType[type]}` : `there are ${statements.count} statements`;
    throw new QueryError(`Cannot run this SQL: ${found}, needed one statement that only reads (SELECT, FROM, WITH, DESCRIBE, EXPLAIN)`);
  }

  /** Ends the query that runs; it fails. */
  interrupt(): void {
    this.#connection.interrupt();
  }

  /** How much of the running query is done, in percent; null where DuckDB does not know. */
  progressPercent(): number | null {
    const { percentage } = this.#connection.progress;
    return percentage < 0 ? null : percentage;
  }

  /** Appends to a table whose columns have these types, in its order. @throws {QueryError} If there is no such table. */
  async appender(table: string, types: readonly DuckDBType[]): Promise<Appender> {
    return new Appender(await explained(() => this.#connection.createAppender(table)), DuckDBDataChunk.create(types, CHUNK_ROWS));
  }

  [Symbol.dispose](): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

/** Appends rows; they are in the table when it is closed. */
export class Appender {
  readonly #appender: DuckDBAppender;
  readonly #chunk: DuckDBDataChunk;

  /** @internal Made by `Database.appender()`. */
  constructor(appender: DuckDBAppender, chunk: DuckDBDataChunk) {
    this.#appender = appender;
    this.#chunk = chunk;
  }

  /** @param columns In the table's order. */
  append(rowCount: number, columns: readonly AppendColumn[]): void {
    const { chunk } = this.#chunk;
    for (let start = 0; start < rowCount; start += CHUNK_ROWS) {
      const rows = Math.min(CHUNK_ROWS, rowCount - start);
      this.#chunk.reset();
      this.#chunk.rowCount = rows;
      columns.forEach((column, i) => fillVector(bindings.default.data_chunk_get_vector(chunk, i), column, start, rows));
      this.#appender.appendDataChunk(this.#chunk);
    }
  }

  /** @throws {QueryError} If DuckDB fails. */
  close(): void {
    try {
      this.#appender.closeSync();
    } catch (cause) {
      throw queryError(cause);
    }
  }
}

export { BIGINT, ENUM, INTEGER, TIMESTAMPTZ } from "@duckdb/node-api";
export const BIGINT_LIST: DuckDBType = LIST(BIGINT);
export type { DuckDBType };

type Vector = ReturnType<typeof bindings.default.data_chunk_get_vector>;

function fillVector(vector: Vector, column: AppendColumn, start: number, rows: number): void {
  if ("offsets" in column) return fillList(vector, column, start, rows);
  copy(vector, column.values.subarray(start, start + rows));
  if (column.valid !== undefined) copyValidity(vector, column.valid, start, rows);
}

function fillList(
  vector: Vector,
  { offsets, values }: ListColumn,
  start: number,
  rows: number,
): void {
  const first = offsets[start]!, items = offsets[start + rows]! - first;
  const entries = new BigUint64Array(rows * 2);
  for (let i = 0; i < rows; i++) {
    entries[2 * i] = BigInt(offsets[start + i]! - first);
    entries[2 * i + 1] = BigInt(offsets[start + i + 1]! - offsets[start + i]!);
  }
  bindings.default.list_vector_reserve(vector, items);
  bindings.default.list_vector_set_size(vector, items);
  copy(bindings.default.list_vector_get_child(vector), values.subarray(first, first + items));
  copy(vector, entries);
}

function copy(vector: Vector, values: Uint8Array | Uint16Array | Uint32Array | Int32Array | BigInt64Array | BigUint64Array): void {
  bindings.default.copy_data_to_vector(vector, 0, values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
}

function copyValidity(vector: Vector, valid: Uint8Array, start: number, rows: number): void {
  const bits = new Uint8Array(Math.ceil(rows / 64) * 8);
  for (let i = 0; i < rows; i++) if (valid[start + i] === 1) bits[i >> 3]! |= 1 << (i & 7);
  bindings.default.vector_ensure_validity_writable(vector);
  bindings.default.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.length);
}

async function explained<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw queryError(cause);
  }
}

/** DuckDB's own words for what it refuses; anything else is thrown on as it is. */
function queryError(cause: unknown): QueryError {
  if (!(cause instanceof Error)) throw cause;
  return new QueryError(cause.message, { cause });
}
