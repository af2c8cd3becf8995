/** The topic of edges: what is committed to `edge_1m` goes there after, at least once. */

import { type EdgeBatch, encodeEdgeBatch } from "../../lib/edge_batch.ts";
import { EDGE_COLUMNS, HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import type { ColumnData } from "../../lib/flow_batch.ts";
import { log } from "../../lib/log.ts";
import { openConsumer, openProducer } from "../../lib/topic/open.ts";
import { PublishError, type TopicProducer, type TopicRecord } from "../../lib/topic/topic.ts";
import type { Database, Row } from "../duckdb.ts";
import { createTableView } from "../lake/table.ts";
import { EDGE_1M } from "../lake/tables.ts";
import { sqlText } from "../sql_text.ts";
import { EDGE_BATCH_ROWS } from "./edge_rows.ts";

/** Rows that are read at a time to be published again, but never a part of those of one offset. */
const PUBLISHED_ROWS = 20_000;

export class EdgeOutput implements AsyncDisposable {
  /** Tells the topic apart from others, also of the same path. */
  readonly name: string;
  readonly #producer: TopicProducer;
  readonly #database: Database;

  private constructor(name: string, producer: TopicProducer, database: Database) {
    this.name = name;
    this.#producer = producer;
    this.#database = database;
  }

  /** @throws {TopicError} If the topic cannot be opened or made. */
  static async open(url: string, database: Database): Promise<EdgeOutput> {
    const producer = await openProducer(url);
    await using consumer = await openConsumer(url.startsWith("sqlite:") ? url.replace(/\?.*/, "") : url);
    return new EdgeOutput(consumer.topicName, producer, database);
  }

  /**
   * Publishes a partition's edges; tries for as long as it takes.
   *
   * @throws {TopicError} If the topic refuses them.
   */
  async publish(partition: number, batches: readonly EdgeBatch[]): Promise<void> {
    let records: readonly TopicRecord[] = batches.map((batch) => ({
      partition: partition % this.#producer.partitionCount,
      value: encodeEdgeBatch(batch),
    }));
    while (records.length > 0) {
      try {
        await this.#producer.publish(records);
        return;
      } catch (error) {
        if (!(error instanceof PublishError)) throw error;
        log("warn", "jobs", "edges wait for their topic", { error: error.message });
        const { unacknowledged } = error;
        records = records.filter((record) => unacknowledged.has(record));
      }
    }
  }

  /** Publishes what the table has from an offset on: a run that was killed may not have. */
  async publishAgain(lake: string, topicName: string, partition: number, from: bigint): Promise<void> {
    const { version } = await createTableView(this.#database, lake, EDGE_1M);
    if (version < 0n) return;
    const columns = EDGE_COLUMNS.map(({ name, type }) => type === "TIMESTAMPTZ" ? `epoch_us(${name}) as ${name}` : name);
    const after = (offset: bigint) => `src_topic = ${sqlText(topicName)} and src_partition = ${partition} and src_offset_to > ${offset}`;
    for (let published = from;;) {
      const [last] = await this.#database.rows(`
        select max(src_offset_to) as upto
        from (select src_offset_to from edge_1m where ${after(published)} order by src_offset_to limit ${PUBLISHED_ROWS}) next_rows`);
      if (last?.["upto"] === null) return;
      const upto = BigInt(String(last!["upto"]));
      const rows = await this.#database.rows(
        `select ${columns.join(", ")} from edge_1m where ${
          after(published)
        } and src_offset_to <= ${upto} order by src_offset_to, window_start`,
      );
      for (let start = 0; start < rows.length; start += EDGE_BATCH_ROWS) {
        await this.publish(partition, [batchOf(rows.slice(start, start + EDGE_BATCH_ROWS))]);
      }
      log("info", "jobs", "edges published again", { partition, edges: rows.length });
      published = upto;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer[Symbol.asyncDispose]();
  }
}

/** Rows of the table as a batch. */
function batchOf(rows: readonly Row[]): EdgeBatch {
  const columns: Record<string, ColumnData> = {};
  for (const { name, type } of EDGE_COLUMNS) {
    const values = rows.map((row) => row[name]);
    switch (type) {
      case "VARCHAR": {
        const dictionary = [...new Set(values.map(String))], codes = new Map(dictionary.map((text, code) => [text, code]));
        columns[name] = { codes: Int32Array.from(values, (value) => codes.get(String(value))!), dictionary };
        break;
      }
      case "INTEGER":
        columns[name] = {
          values: Int32Array.from(values, (value) => Number(value ?? 0)),
          valid: Uint8Array.from(values, (value) => value === null ? 0 : 1),
        };
        break;
      case "BIGINT[]":
        columns[name] = {
          offsets: Int32Array.from({ length: rows.length + 1 }, (_, i) => i * HISTOGRAM_BUCKETS),
          values: BigInt64Array.from(values.flatMap((list) => Array.isArray(list) ? list.map((count) => BigInt(count)) : [])),
        };
        break;
      default:
        columns[name] = { values: BigInt64Array.from(values, (value) => BigInt(String(value))) };
    }
  }
  return { rowCount: rows.length, columns: columns as EdgeBatch["columns"] };
}
