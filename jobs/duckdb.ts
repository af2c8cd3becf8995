/** DuckDB, in this process: SQL in, rows out, and columns of typed arrays in. */

import type { DuckDBAppender, DuckDBConnection, DuckDBDataChunk, DuckDBInstance } from "@duckdb/node-api";
import { type Answer, DUCKDB_MACROS, type Engine } from "./portable_sql.ts";

/** What `SELECT` gives: numbers of 64 bits as text, timestamps as "YYYY-MM-DD HH:MM:SS.ffffff+00", lists as arrays. */
export type Row = Readonly<Record<string, unknown>>;

const NUMBER_TYPE = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL\(.*\))$/;

/** A column to append: values of the column's width. */
export interface AppendColumn {
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

/** Types of columns that are appended. */
export type AppendType = "INTEGER" | "BIGINT";

/** DuckDB's library, and a database of it. */
interface Opened {
  readonly api: typeof import("@duckdb/node-api");
  readonly bindings: typeof import("@duckdb/node-bindings");
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
}

/** The library is loaded only where it is used: it takes a tenth of a second, which many a run does not need. */
async function openDatabase({ memoryLimit, temporaryDirectory, threads }: DatabaseConfig): Promise<Opened> {
  const [api, { default: bindings }] = await Promise.all([import("@duckdb/node-api"), import("@duckdb/node-bindings")]);
  const instance = await api.DuckDBInstance.create(":memory:", {
    memory_limit: memoryLimit,
    temp_directory: temporaryDirectory,
    ...(threads === undefined ? {} : { threads: String(threads) }),
    // Nothing is downloaded, and nothing that a query names may be.
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  await connection.run("set TimeZone = 'UTC'; set enable_progress_bar = true; set enable_progress_bar_print = false");
  return { api, bindings, instance, connection };
}

/** A database in memory. */
export class Database implements Disposable, Engine {
  readonly macros = DUCKDB_MACROS;
  readonly #config: DatabaseConfig;
  #opening: Promise<Opened> | null = null;
  /** Null until it is open. */
  #opened: Opened | null = null;

  private constructor(config: DatabaseConfig) {
    this.#config = config;
  }

  static async open(config: DatabaseConfig): Promise<Database> {
    const database = new Database(config);
    await database.#connect();
    return database;
  }

  /** One that is opened with its first query, for who may have none. */
  static unopened(config: DatabaseConfig): Database {
    return new Database(config);
  }

  /** @throws {QueryError} If DuckDB refuses or fails. */
  async run(sql: string): Promise<void> {
    const { connection } = await this.#connect();
    await explained(() => connection.run(sql));
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
    const { connection } = await this.#connect(), reader = await explained(() => connection.runAndReadAll(sql));
    const types = reader.columnTypes().map(String), names = reader.deduplicatedColumnNames();
    const columns = names.map((name, i) => ({ name, isNumber: NUMBER_TYPE.test(types[i]!) }));
    return { columns, rows: rowsOf(names, reader.getColumnsJson(), reader.currentRowCount) };
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
    const { connection, api: { StatementType } } = await this.#connect();
    const statements = await explained(() => connection.extractStatements(sql));
    const type = statements.count === 1 ? (await explained(() => statements.prepare(0))).statementType : StatementType.INVALID;
    if (type === StatementType.SELECT) return;
    // EXPLAIN ANALYZE runs what it explains.
    if (type === StatementType.EXPLAIN) return await this.#assertReads(sql.replace(/^\s*explain\s+(analyze\s+)?(\([^)]*\)\s*)?/i, ""));
    const found = statements.count === 1 ? `it is ${StatementType[type]}` : `there are ${statements.count} statements`;
    throw new QueryError(`Cannot run this SQL: ${found}, needed one statement that only reads (SELECT, FROM, WITH, DESCRIBE, EXPLAIN)`);
  }

  /** Ends the query that runs; it fails. */
  interrupt(): void {
    this.#opened?.connection.interrupt();
  }

  /** How much of the running query is done, in percent; null where DuckDB does not know. */
  progressPercent(): number | null {
    const percentage = this.#opened?.connection.progress.percentage ?? -1;
    return percentage < 0 ? null : percentage;
  }

  /** Appends to a table whose columns have these types, in its order. @throws {QueryError} If there is no such table. */
  async appender(table: string, types: readonly AppendType[]): Promise<Appender> {
    const { api, bindings, connection } = await this.#connect();
    const appender = await explained(() => connection.createAppender(table));
    return new Appender(bindings, appender, api.DuckDBDataChunk.create(types.map((type) => api[type]), CHUNK_ROWS));
  }

  [Symbol.dispose](): void {
    this.#opened?.connection.closeSync();
    this.#opened?.instance.closeSync();
  }

  async #connect(): Promise<Opened> {
    this.#opening ??= openDatabase(this.#config);
    return this.#opened = await this.#opening;
  }
}

/** Appends rows; they are in the table when it is closed. */
export class Appender {
  readonly #bindings: Opened["bindings"];
  readonly #appender: DuckDBAppender;
  readonly #chunk: DuckDBDataChunk;

  /** @internal Made by `Database.appender()`. */
  constructor(bindings: Opened["bindings"], appender: DuckDBAppender, chunk: DuckDBDataChunk) {
    this.#bindings = bindings;
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
      for (const [i, { values }] of columns.entries()) {
        const { buffer, byteOffset, byteLength } = values.subarray(start, start + rows);
        const vector = this.#bindings.data_chunk_get_vector(chunk, i);
        this.#bindings.copy_data_to_vector(vector, 0, buffer as ArrayBuffer, byteOffset, byteLength);
      }
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

/** As the reader's own rows, in half their time. */
function rowsOf(names: readonly string[], columns: readonly (readonly unknown[])[], rowCount: number): Row[] {
  const rows = new Array<Row>(rowCount);
  for (let i = 0; i < rowCount; i++) {
    const row: Record<string, unknown> = {};
    for (let column = 0; column < names.length; column++) row[names[column]!] = columns[column]![i];
    rows[i] = row;
  }
  return rows;
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
