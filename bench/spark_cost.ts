/** What a query of Spark Structured Streaming over a Kafka topic costs. */

import { SPARK_TYPES } from "../jobs/engines/spark.ts";
import { MESSAGE_COLUMNS } from "../lib/records.ts";
import { python, sparkKafkaJars } from "../tools/cache.ts";
import type { Broker } from "../tools/kafka.ts";
import { type CommandCost, costOf } from "./command_cost.ts";

/** A script of this folder that reads a topic into a Delta table. */
export interface SparkQuery {
  readonly script: string;
  readonly broker: Broker;
  readonly topic: string;
  /** For its table and its checkpoints. */
  readonly folder: string;
  /** Rows that it must tell. */
  readonly rows: number;
  /** What the script takes besides. */
  readonly more: readonly string[];
}

/**
 * The CPU seconds are those of the query alone, without the start; the memory is not known, as there is more than one process.
 *
 * @throws {Error} If Spark fails, or tells other rows.
 */
export async function costOfSpark({ script, broker, topic, folder, rows, more }: SparkQuery): Promise<CommandCost> {
  const own = await python(), path = new URL(script, import.meta.url).pathname, jars = (await sparkKafkaJars()).join(",");
  const columns = MESSAGE_COLUMNS.map(({ name, type }) => `${name} ${SPARK_TYPES[type]}`).join(", ");
  const cost = await costOf(own, [path, broker.address, topic, folder, jars, columns, ...more], {
    SPARK_LOCAL_IP: "127.0.0.1",
    PYSPARK_PYTHON: own,
  });
  const told = JSON.parse(cost.stdout);
  if (told.rows !== rows) throw new Error(`Cannot trust Spark: ${told.rows} rows, needed ${rows}`);
  return { ...cost, cpuSeconds: Number(told.cpu_seconds), peakBytes: NaN };
}
