/**
 * The checksum of rows: a number of 64 bits for any set of rows of `flow`, whatever their order and whatever files they are in.
 *
 * A row's canonical text is the texts of its columns in the order of `CHECKSUM_COLUMNS`, a U+001F between them; those that came
 * after the row's own `schema_version` are left out. A null is a U+001E; a number is in decimal, a time as microseconds since 1970,
 * an address as upper-case hexadecimal, a list as decimals with commas between. The row's number is the first 8 bytes of the MD5
 * (RFC 1321) of that text in UTF-8, the least significant first; the numbers of all rows are added modulo 2^64.
 *
 * It costs 3 us a row, three times what landing a row does: so the audit and compaction compute it, and landing does not.
 */

import { type Column, FLOW_COLUMNS } from "../lib/records.ts";

const SOURCE_COLUMNS = ["src_partition", "src_offset", "src_index"];

/** Columns of the canonical text: where the row came from, then what its message said, columns of older versions first. */
export const CHECKSUM_COLUMNS: readonly Column[] = [
  ...FLOW_COLUMNS.filter(({ name }) => SOURCE_COLUMNS.includes(name)),
  ...FLOW_COLUMNS.filter(({ origin }) => origin === "message").toSorted((a, b) => a.since - b.since),
];

export const FIELD_SEPARATOR = "\u001f";
export const NULL_TEXT = "\u001e";

/** SQL aggregate over rows with the columns of `flow`: their checksum as HUGEINT, 0 where there is no row. */
export const CHECKSUM_SQL = `coalesce(sum(md5_number_upper(concat_ws(chr(31), ${
  CHECKSUM_COLUMNS.map(fieldSql).join(", ")
}))), 0) % (1::hugeint << 64)`;

function fieldSql(column: Column): string {
  const text = `coalesce(${textSql(column)}, chr(30))`;
  return column.since === 1 ? text : `case when schema_version >= ${column.since} then ${text} end`;
}

function textSql({ name, type }: Column): string {
  switch (type) {
    case "VARCHAR":
      return name;
    case "INTEGER":
    case "BIGINT":
      return `${name}::varchar`;
    case "TIMESTAMPTZ":
      return `epoch_us(${name})::varchar`;
    case "BLOB":
      return `hex(${name})`;
    case "INTEGER[]":
    case "BIGINT[]":
      return `array_to_string(${name}, ',')`;
  }
}
