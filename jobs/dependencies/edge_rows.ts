/** Rows of `edge_1m` from what minutes told. */

import type { EdgeBatch } from "../../lib/edge_batch.ts";
import { EDGE_SCHEMA_VERSION, HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import { AMOUNTS, FIRST_AMOUNT, FLOW_ROWS, MEASURES } from "./measures.ts";
import { MINUTE_US } from "./message_rows.ts";
import type { Told } from "./partition.ts";

/** So that a batch is a message of the topic too; a power of two. */
export const EDGE_BATCH_ROWS = 1_024;

/** Texts as codes of their dictionary. */
class Texts {
  readonly #codes = new Map<string, number>();
  readonly #values = new Int32Array(EDGE_BATCH_ROWS);

  set(row: number, text: string): void {
    let code = this.#codes.get(text);
    if (code === undefined) this.#codes.set(text, code = this.#codes.size);
    this.#values[row] = code;
  }

  column(rowCount: number): { readonly codes: Int32Array; readonly dictionary: readonly string[] } {
    return { codes: this.#values.subarray(0, rowCount), dictionary: [...this.#codes.keys()] };
  }
}

/** Numbers that may be null. */
class Nullables {
  readonly #values = new Int32Array(EDGE_BATCH_ROWS);
  readonly #valid = new Uint8Array(EDGE_BATCH_ROWS);

  set(row: number, value: number | null): void {
    if (value === null) return;
    this.#values[row] = value;
    this.#valid[row] = 1;
  }

  column(rowCount: number): { readonly values: Int32Array; readonly valid: Uint8Array } {
    return { values: this.#values.subarray(0, rowCount), valid: this.#valid.subarray(0, rowCount) };
  }
}

/** Numbers of 64 bits, written as two words, as a bigint for each would cost far more. */
class Longs {
  readonly #values: BigInt64Array;
  readonly #words: Int32Array;

  constructor(count = EDGE_BATCH_ROWS) {
    this.#values = new BigInt64Array(count);
    this.#words = new Int32Array(this.#values.buffer);
  }

  /** @param value Whole, of less than 2^53. */
  set(at: number, value: number): void {
    this.#words[2 * at] = value; // its lowest 32 bits
    this.#words[2 * at + 1] = Math.floor(value / 2 ** 32);
  }

  column(count: number): { readonly values: BigInt64Array } {
    return { values: this.#values.subarray(0, count) };
  }
}

/** Rows of a batch on their way. */
class Rows {
  readonly #transport = new Texts();
  readonly #client = new Texts();
  readonly #clientAddress = new Texts();
  readonly #server = new Texts();
  readonly #serverAddress = new Texts();
  readonly #ports = new Int32Array(EDGE_BATCH_ROWS);
  readonly #amounts = AMOUNTS.map(() => new Longs());
  readonly #flowRows = new Longs();
  readonly #smallest = new Nullables();
  readonly #greatest = new Nullables();
  readonly #slowest = new Nullables();
  readonly #histogram = new Longs(EDGE_BATCH_ROWS * HISTOGRAM_BUCKETS);
  readonly #source = { start: new Longs(), revision: new Longs(), from: new Longs(), to: new Longs() };
  count = 0;

  push({ edges, minute, revision, offsetFrom, offsetTo }: Told, edge: number): void {
    const row = this.count++, { transport, client, server, port } = edges.key(edge), { smallest, greatest, slowest } = edges.bounds(edge);
    const at = edge * MEASURES, { values } = edges.measures;
    edges.histograms.each(edge, (bucket, count) => this.#histogram.set(row * HISTOGRAM_BUCKETS + bucket, count));
    this.#transport.set(row, transport);
    this.#client.set(row, client.service);
    this.#clientAddress.set(row, client.address);
    this.#server.set(row, server.service);
    this.#serverAddress.set(row, server.address);
    this.#ports[row] = port;
    for (let i = 0; i < AMOUNTS.length; i++) this.#amounts[i]!.set(row, values[at + FIRST_AMOUNT + i]!);
    this.#flowRows.set(row, values[at + FLOW_ROWS]!);
    this.#smallest.set(row, smallest);
    this.#greatest.set(row, greatest);
    this.#slowest.set(row, slowest);
    this.#source.start.set(row, minute * MINUTE_US);
    this.#source.revision.set(row, Number(revision));
    this.#source.from.set(row, Number(offsetFrom));
    this.#source.to.set(row, Number(offsetTo));
  }

  batch(topicName: string, partition: number): EdgeBatch {
    const rowCount = this.count, { start, revision, from, to } = this.#source;
    const amount = (name: typeof AMOUNTS[number]) => this.#amounts[AMOUNTS.indexOf(name)]!.column(rowCount);
    return {
      rowCount,
      columns: {
        window_start: start.column(rowCount),
        network_transport: this.#transport.column(rowCount),
        client_service_name: this.#client.column(rowCount),
        client_address: this.#clientAddress.column(rowCount),
        server_service_name: this.#server.column(rowCount),
        server_address: this.#serverAddress.column(rowCount),
        server_port: { values: this.#ports.subarray(0, rowCount) },
        connections_opened: amount("connections_opened"),
        connections_closed: amount("connections_closed"),
        connections_reset: amount("connections_reset"),
        connections_timed_out: amount("connections_timed_out"),
        connections_failed_refused: amount("connections_failed_refused"),
        connections_failed_timeout: amount("connections_failed_timeout"),
        connections_failed_unreachable: amount("connections_failed_unreachable"),
        connections_failed_other: amount("connections_failed_other"),
        bytes_sent: amount("bytes_sent"),
        bytes_received: amount("bytes_received"),
        segments_sent: amount("segments_sent"),
        segments_received: amount("segments_received"),
        retransmits: amount("retransmits"),
        srtt_us_sum: amount("srtt_us_sum"),
        srtt_samples: amount("srtt_samples"),
        srtt_us_min: this.#smallest.column(rowCount),
        srtt_us_max: this.#greatest.column(rowCount),
        srtt_us_histogram: {
          offsets: Int32Array.from({ length: rowCount + 1 }, (_, i) => i * HISTOGRAM_BUCKETS),
          ...this.#histogram.column(rowCount * HISTOGRAM_BUCKETS),
        },
        connect_us_sum: amount("connect_us_sum"),
        connect_samples: amount("connect_samples"),
        connect_us_max: this.#slowest.column(rowCount),
        flow_rows: this.#flowRows.column(rowCount),
        revision: revision.column(rowCount),
        src_topic: { codes: new Int32Array(rowCount), dictionary: [topicName] },
        src_partition: { values: new Int32Array(rowCount).fill(partition) },
        src_offset_from: from.column(rowCount),
        src_offset_to: to.column(rowCount),
        schema_version: { values: new Int32Array(rowCount).fill(EDGE_SCHEMA_VERSION) },
      },
    };
  }
}

/** Batches of what minutes of a partition told; edges of which nothing changed are left out. */
export function edgeBatches(told: readonly Told[], topicName: string, partition: number): EdgeBatch[] {
  const batches: EdgeBatch[] = [];
  let rows = new Rows();
  for (const minute of told) {
    for (let edge = 0; edge < minute.edges.count; edge++) {
      if (minute.edges.isNothing(edge)) continue;
      rows.push(minute, edge);
      if (rows.count < EDGE_BATCH_ROWS) continue;
      batches.push(rows.batch(topicName, partition));
      rows = new Rows();
    }
  }
  if (rows.count > 0) batches.push(rows.batch(topicName, partition));
  return batches;
}
