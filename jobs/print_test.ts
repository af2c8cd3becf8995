/** How answers are printed. */

import assert from "node:assert/strict";
import type { Answer } from "./portable_sql.ts";
import { formatAnswer } from "./print.ts";
import { bytesText, cell, durationText, heading } from "./unit_text.ts";

const ANSWER: Answer = {
  columns: [{ name: "service", isNumber: false }, { name: "tx_bytes", isNumber: true }, { name: "srtt_us", isNumber: true }],
  rows: [
    { service: 'a "b",\nc', tx_bytes: "2048", srtt_us: "1500" },
    { service: "123", tx_bytes: "9223372036854775807", srtt_us: null },
  ],
};

Deno.test("formatAnswer() gives people units, one line a row, and the number left out", () => {
  const text = formatAnswer(ANSWER, "table", 1);
  assert.match(text, /│ a "b", c +│ 2 KiB │ 1\.5 ms │/);
  assert.match(text, /1 more rows \(--limit 2 shows all\)/);
});

Deno.test("formatAnswer() quotes CSV as RFC 4180 has it", () => {
  assert.equal(formatAnswer(ANSWER, "csv", 1), 'service,tx_bytes,srtt_us\r\n"a ""b"",\nc",2048,1500\r\n123,9223372036854775807,');
});

Deno.test("formatAnswer() gives JSON numbers where they are exact, and leaves texts alone", () => {
  assert.deepEqual(JSON.parse(formatAnswer(ANSWER, "json", 1)), [
    { service: 'a "b",\nc', tx_bytes: 2_048, srtt_us: 1_500 },
    { service: "123", tx_bytes: "9223372036854775807", srtt_us: null },
  ]);
});

Deno.test("bytesText() and durationText() choose the unit", () => {
  assert.deepEqual([0, 1_023, 1_536, 5 * 2 ** 30].map(bytesText), ["0 B", "1023 B", "1.5 KiB", "5 GiB"]);
  assert.deepEqual([999, 1_234, 2_500_000].map(durationText), ["999 us", "1.23 ms", "2.5 s"]);
});

Deno.test("a column's unit goes from its name to its values", () => {
  const columns: readonly (readonly [string, number])[] = [
    ["peak_bytes_per_second", 2_048],
    ["connections_per_second", 3_210],
    ["growth_bps_per_day", -1_500_000],
    ["capacity_bps", 1e10],
    ["loss_percent", 0.5],
    ["connections", 1_234_567],
  ];
  assert.deepEqual(columns.map(([name, value]) => `${heading(name)}: ${cell(name, value, true)}`), [
    "peak: 2 KiB/s",
    "connections: 3.21 k/s",
    "growth: -1.5 Mbit/s a day",
    "capacity: 10 Gbit/s",
    "loss: 0.5 %",
    "connections: 1234567",
  ]);
});

Deno.test("a table has colours where they are asked for alone, and marks what is bad", () => {
  const answer: Answer = { columns: [{ name: "verdict", isNumber: false }], rows: [{ verdict: "escaped" }] };
  assert.ok(formatAnswer(answer, "table", 1, true).includes("\x1b[31mescaped\x1b[39m"));
  assert.ok(!formatAnswer(answer, "table", 1).includes("\x1b"));
  assert.match(formatAnswer({ ...answer, rows: [] }, "table", 1), /no rows/);
});
