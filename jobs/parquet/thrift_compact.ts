/** Writes structures in Thrift's compact protocol (thrift-compact-protocol.md), as Parquet's headers and footer are. */

import { Bytes } from "./bytes.ts";

const TRUE = 1, I16 = 4, I32 = 5, I64 = 6, BINARY = 8, LIST = 9, STRUCT = 12;
const SHORT_LIST_MAX = 14;
const encoder = new TextEncoder();

/** Fields of a structure, in ascending order of their numbers. */
export class ThriftStruct {
  readonly #out: Bytes;
  #last = 0;

  private constructor(out: Bytes) {
    this.#out = out;
  }

  /** A structure's bytes. */
  static encode(fill: (fields: ThriftStruct) => void): Uint8Array<ArrayBuffer> {
    const out = new Bytes();
    ThriftStruct.#write(out, fill);
    return out.take();
  }

  static #write(out: Bytes, fill: (fields: ThriftStruct) => void): void {
    fill(new ThriftStruct(out));
    out.byte(0);
  }

  true(field: number): void {
    this.#begin(field, TRUE);
  }

  i16(field: number, value: number): void {
    this.#begin(field, I16);
    this.#out.zigzag(value);
  }

  i32(field: number, value: number): void {
    this.#begin(field, I32);
    this.#out.zigzag(value);
  }

  i64(field: number, value: number): void {
    this.#begin(field, I64);
    this.#out.zigzag(value);
  }

  binary(field: number, value: Uint8Array): void {
    this.#begin(field, BINARY);
    this.#out.varint(value.length);
    this.#out.add(value);
  }

  text(field: number, value: string): void {
    this.binary(field, encoder.encode(value));
  }

  struct(field: number, fill: (fields: ThriftStruct) => void): void {
    this.#begin(field, STRUCT);
    ThriftStruct.#write(this.#out, fill);
  }

  structs<T>(field: number, values: readonly T[], fill: (fields: ThriftStruct, value: T) => void): void {
    this.#beginList(field, STRUCT, values.length);
    for (const value of values) ThriftStruct.#write(this.#out, (fields) => fill(fields, value));
  }

  i32s(field: number, values: readonly number[]): void {
    this.#beginList(field, I32, values.length);
    for (const value of values) this.#out.zigzag(value);
  }

  texts(field: number, values: readonly string[]): void {
    this.#beginList(field, BINARY, values.length);
    for (const value of values) {
      const bytes = encoder.encode(value);
      this.#out.varint(bytes.length);
      this.#out.add(bytes);
    }
  }

  /** @param field At most 15 after the one before. */
  #begin(field: number, type: number): void {
    this.#out.byte((field - this.#last) << 4 | type);
    this.#last = field;
  }

  #beginList(field: number, type: number, length: number): void {
    this.#begin(field, LIST);
    if (length <= SHORT_LIST_MAX) return this.#out.byte(length << 4 | type);
    this.#out.byte(0xf0 | type);
    this.#out.varint(length);
  }
}
