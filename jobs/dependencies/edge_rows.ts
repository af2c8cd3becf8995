/** Rows of `edge_1m` from what minutes told. */

import type { EdgeBatch } from "../../lib/edge_batch.ts";
import { EDGE_SCHEMA_VERSION, HISTOGRAM_BUCKETS } from "../../lib/edge_columns.ts";
import { AMOUNTS, FLOW_ROWS, MEASURES } from "./measures.ts";
import { MINUTE_US, type Told } from "./partition.ts";

/** So that a batch is a message of the topic too. */
export const EDGE_BATCH_ROWS = 1_024;

/** Texts as codes of their dictionary. */
class Texts {
  readonly #codes = new Map<string, number>();
  readonly codes: number[] = [];

  push(text: string): void {
    let code = this.#codes.get(text);
    if (code === undefined) this.#codes.set(text, code = this.#codes.size);
    this.codes.push(code);
  }

  column(): { readonly codes: Int32Array; readonly dictionary: readonly string[] } {
    return { codes: Int32Array.from(this.codes), dictionary: [...this.#codes.keys()] };
  }
}

/** Numbers that may be null. */
class Nullables {
  readonly #values: number[] = [];
  readonly #valid: number[] = [];

  push(value: number | null): void {
    this.#values.push(value ?? 0);
    this.#valid.push(value === null ? 0 : 1);
  }

  column(): { readonly values: Int32Array; readonly valid: Uint8Array } {
    return { values: Int32Array.from(this.#values), valid: Uint8Array.from(this.#valid) };
  }
}

/** Rows of a batch on their way. */
class Rows {
  readonly #texts = {
    transport: new Texts(),
    client: new Texts(),
    clientAddress: new Texts(),
    server: new Texts(),
    serverAddress: new Texts(),
  };
  readonly #ports: number[] = [];
  readonly #amounts = AMOUNTS.map((): bigint[] => []);
  readonly #flowRows: bigint[] = [];
  readonly #smallest = new Nullables();
  readonly #greatest = new Nullables();
  readonly #slowest = new Nullables();
  readonly #histogram = new BigInt64Array(EDGE_BATCH_ROWS * HISTOGRAM_BUCKETS);
  readonly #source: { readonly start: bigint[]; readonly revision: bigint[]; readonly from: bigint[]; readonly to: bigint[] } = {
    start: [],
    revision: [],
    from: [],
    to: [],
  };

  get count(): number {
    return this.#ports.length;
  }

  push({ edges, minute, revision, offsetFrom, offsetTo }: Told, edge: number): void {
    const { transport, client, server, port } = edges.key(edge), { smallest, greatest, slowest } = edges.bounds(edge);
    const at = edge * MEASURES, { values } = edges.measures, histogramAt = this.count * HISTOGRAM_BUCKETS;
    edges.histograms.each(edge, (bucket, count) => this.#histogram[histogramAt + bucket] = BigInt(count));
    this.#texts.transport.push(transport);
    this.#texts.client.push(client.service);
    this.#texts.clientAddress.push(client.address);
    this.#texts.server.push(server.service);
    this.#texts.serverAddress.push(server.address);
    this.#ports.push(port);
    for (const [i, amounts] of this.#amounts.entries()) amounts.push(BigInt(values[at + i]!));
    this.#flowRows.push(BigInt(values[at + FLOW_ROWS]!));
    this.#smallest.push(smallest);
    this.#greatest.push(greatest);
    this.#slowest.push(slowest);
    this.#source.start.push(BigInt(minute * MINUTE_US));
    this.#source.revision.push(revision);
    this.#source.from.push(offsetFrom);
    this.#source.to.push(offsetTo);
  }

  batch(topicName: string, partition: number): EdgeBatch {
    const rowCount = this.count, { start, revision, from, to } = this.#source;
    const bigints = (values: readonly bigint[]) => ({ values: BigInt64Array.from(values) });
    const amount = (name: typeof AMOUNTS[number]) => bigints(this.#amounts[AMOUNTS.indexOf(name)]!);
    return {
      rowCount,
      columns: {
        window_start: bigints(start),
        network_transport: this.#texts.transport.column(),
        client_service_name: this.#texts.client.column(),
        client_address: this.#texts.clientAddress.column(),
        server_service_name: this.#texts.server.column(),
        server_address: this.#texts.serverAddress.column(),
        server_port: { values: Int32Array.from(this.#ports) },
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
        srtt_us_min: this.#smallest.column(),
        srtt_us_max: this.#greatest.column(),
        srtt_us_histogram: {
          offsets: Int32Array.from({ length: rowCount + 1 }, (_, i) => i * HISTOGRAM_BUCKETS),
          values: this.#histogram.subarray(0, rowCount * HISTOGRAM_BUCKETS),
        },
        connect_us_sum: amount("connect_us_sum"),
        connect_samples: amount("connect_samples"),
        connect_us_max: this.#slowest.column(),
        flow_rows: bigints(this.#flowRows),
        revision: bigints(revision),
        src_topic: { codes: new Int32Array(rowCount), dictionary: [topicName] },
        src_partition: { values: new Int32Array(rowCount).fill(partition) },
        src_offset_from: bigints(from),
        src_offset_to: bigints(to),
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
