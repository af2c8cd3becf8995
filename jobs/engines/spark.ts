/** Spark over the same lake: the SQL that DuckDB runs here, on as many machines as Spark's own settings name. */

import { z } from "zod";
import type { ColumnType } from "../../lib/records.ts";
import type { Answer, Engine } from "../portable_sql.ts";
import { LakeError, type Snapshot } from "../lake/delta_log.ts";
import { type PartitionColumn, type TableDefinition, tableDirectory } from "../lake/table.ts";
import { QueryError } from "../duckdb.ts";

/** Settings that the answers rest on; every other, such as the master and the jars, is of Spark's own configuration. */
const SETTINGS: Readonly<Record<string, string>> = {
  "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
  "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
  "spark.sql.session.timeZone": "UTC",
  "spark.sql.ansi.enabled": "true",
};

/** Spark's names of the types of columns. */
export const SPARK_TYPES: Readonly<Record<ColumnType, string>> = {
  "VARCHAR": "string",
  "BLOB": "binary",
  "INTEGER": "int",
  "BIGINT": "bigint",
  "TIMESTAMPTZ": "timestamp",
  "INTEGER[]": "array<int>",
  "BIGINT[]": "array<bigint>",
};

const PARTITION_TYPES: Readonly<Record<PartitionColumn, string>> = { date: "date", hour: "int" };

const TableSchema = z.object({ fields: z.array(z.object({ name: z.string() })) });
const Reply = z.object({
  version: z.string().optional(),
  error: z.string().optional(),
  columns: z.array(z.object({ name: z.string(), isNumber: z.boolean() })).optional(),
  rows: z.array(z.array(z.unknown())).optional(),
});

const REMEDY = "needed a python3 with PySpark 4 on the path, and Delta Lake's jars in Spark's settings; docs/reference/spark.md tells how";
/** Of what Spark prints, the end is told where it fails. */
const KEPT_LINES = 5;

/** A table as a question reads it. */
export interface TableVersion {
  readonly definition: TableDefinition;
  readonly snapshot: Pick<Snapshot, "version" | "metaData">;
}

/** A Spark session; dispose of it to end the process. */
export class Spark implements Engine, AsyncDisposable {
  readonly macros: readonly string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #replies: AsyncIterator<string>;
  readonly #printed: Promise<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#requests = child.stdin.getWriter();
    this.#replies = lines(child.stdout);
    this.#printed = lastLines(child.stderr);
  }

  /** @throws {LakeError} If there is no Spark. */
  static async start(): Promise<Spark> {
    const spark = new Spark(start());
    await spark.#reply();
    return spark;
  }

  /** Makes a view of every table of the lake, as of the versions given. */
  async openLake(lake: string, tables: readonly TableVersion[]): Promise<void> {
    const path = await Deno.realPath(lake);
    for (const { definition, snapshot } of tables) await this.run(viewSql(path, definition, snapshot));
  }

  /** @throws {QueryError} If Spark refuses or fails. */
  async run(sql: string): Promise<void> {
    await this.#ask({ sql });
  }

  /** All rows of a query with its columns. @throws {QueryError} as above. */
  async table(sql: string): Promise<Answer> {
    const { columns = [], rows = [] } = await this.#ask({ sql });
    return { columns, rows: rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]))) };
  }

  /** As `Engine.keep()`. @throws {QueryError} as above. */
  async keep(view: string): Promise<void> {
    await this.#ask({ keep: view });
  }

  /** As `table()`: Spark takes one statement at a time, so that a part of a query cannot end it and begin another. */
  async ask(sql: string): Promise<Answer> {
    return await this.table(sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close();
    await this.#printed;
    await this.#child.status;
  }

  async #ask(request: { readonly sql: string } | { readonly keep: string }): Promise<z.infer<typeof Reply>> {
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const reply = await this.#reply();
    if (reply.error !== undefined) throw new QueryError(reply.error);
    return reply;
  }

  async #reply(): Promise<z.infer<typeof Reply>> {
    const { value, done } = await this.#replies.next();
    if (!done) return Reply.parse(JSON.parse(value));
    throw new LakeError(`Cannot ask Spark: it ended with "${await this.#printed}"; ${REMEDY}`);
  }
}

function start(): Deno.ChildProcess {
  try {
    return new Deno.Command("python3", {
      args: [
        new URL("spark_session.py", import.meta.url).pathname,
        ...Object.entries(SETTINGS).map(([name, value]) => `${name}=${value}`),
      ],
      env: { TZ: "UTC" }, // of the times that PySpark gives
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new LakeError(`Cannot ask Spark: there is no python3; ${REMEDY}`, { cause });
  }
}

/** The table's columns, also those that an older version of it lacks, or all where there is no table yet. */
function viewSql(lake: string, definition: TableDefinition, { version, metaData }: TableVersion["snapshot"]): string {
  const known = new Set(metaData === null ? [] : TableSchema.parse(JSON.parse(metaData.schemaString)).fields.map(({ name }) => name));
  const columns = [
    ...definition.columns.map(({ name, type }) => ({ name, type: SPARK_TYPES[type] })),
    ...definition.partitionColumns.map((name) => ({ name, type: PARTITION_TYPES[name] })),
  ].map(({ name, type }) => known.has(name) ? `\`${name}\`` : `cast(null as ${type}) as \`${name}\``);
  const path = `file://${tableDirectory(lake, definition)}`.replaceAll("`", "``");
  const from = version < 0n ? "where false" : `from delta.\`${path}\` version as of ${version}`;
  return `create or replace temporary view ${definition.name} as select ${columns.join(", ")} ${from}`;
}

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
  return rest;
}

async function lastLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  const last: string[] = [];
  for await (const line of lines(stream)) if (line.trim() !== "" && last.push(line.trim()) > KEPT_LINES) last.shift();
  return last.join(" ");
}
