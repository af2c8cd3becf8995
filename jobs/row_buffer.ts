/** Rows of `flow` that are to be one row group: copied out of their messages column by column, so that no message is kept. */

import type { FlowBatch } from "../lib/flow_batch.ts";
import { MESSAGE_COLUMNS, type MessageColumn } from "../lib/records.ts";
import { BigintBuffer, CodeBuffer, IntegerBuffer, type SomeRows } from "./column_buffers.ts";
import { ListBuffer } from "./list_buffer.ts";

/** A message whose texts and addresses have numbers. */
export interface NumberedMessage {
  readonly partition: number;
  readonly offset: number;
  readonly batch: FlowBatch;
  /** By column, the number of each text of its dictionary. */
  readonly texts: ReadonlyMap<TextColumnName, Int32Array>;
  /** Of the rows' addresses. */
  readonly clients: Int32Array;
  readonly servers: Int32Array;
}

type Of<T extends MessageColumn["type"]> = Extract<MessageColumn, { type: T }>;
export type TextColumnName = Of<"VARCHAR">["name"];
export const TEXT_COLUMNS = MESSAGE_COLUMNS.filter((column): column is Of<"VARCHAR"> => column.type === "VARCHAR").map(({ name }) => name);
const INTEGER_COLUMNS = MESSAGE_COLUMNS.filter((column): column is Of<"INTEGER"> => column.type === "INTEGER").map(({ name }) => name);
const BIGINT_COLUMNS = MESSAGE_COLUMNS
  .filter((column): column is Of<"BIGINT" | "TIMESTAMPTZ"> => column.type === "BIGINT" || column.type === "TIMESTAMPTZ")
  .map(({ name }) => name);

export class RowBuffer {
  readonly texts = new Map(TEXT_COLUMNS.map((name) => [name, new CodeBuffer()]));
  readonly integers = new Map(INTEGER_COLUMNS.map((name) => [name, new IntegerBuffer()]));
  readonly bigints = new Map(BIGINT_COLUMNS.map((name) => [name, new BigintBuffer()]));
  readonly clients = new CodeBuffer();
  readonly servers = new CodeBuffer();
  readonly clientPorts = new ListBuffer();
  readonly partitions = new IntegerBuffer();
  readonly offsets = new BigintBuffer();
  readonly indexes = new IntegerBuffer();
  #rows = 0;

  get rowCount(): number {
    return this.#rows;
  }

  append({ partition, offset, batch: { columns }, texts, clients, servers }: NumberedMessage, some: SomeRows): void {
    const at = this.#rows;
    for (const [name, buffer] of this.integers) buffer.append(columns[name], some, at);
    for (const [name, buffer] of this.bigints) buffer.append(columns[name], some, at);
    for (const [name, buffer] of this.texts) buffer.append(columns[name].codes, texts.get(name)!, some, at);
    this.clients.appendNumbers(clients, some, at);
    this.servers.appendNumbers(servers, some, at);
    this.clientPorts.append(columns.client_ports, some);
    this.partitions.fill(partition, some.count, at);
    this.offsets.fill(offset, some.count, at);
    this.indexes.appendIndexes(some, at);
    this.#rows = at + some.count;
  }

  /** Forgets its rows; what it has reserved stays. */
  clear(): void {
    for (const buffers of [this.texts, this.integers, this.bigints]) for (const buffer of buffers.values()) buffer.clear();
    for (const buffer of [this.clients, this.servers, this.clientPorts, this.partitions, this.offsets, this.indexes]) buffer.clear();
    this.#rows = 0;
  }
}
