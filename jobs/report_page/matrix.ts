/// <reference lib="dom" />
/** Who talks with whom as a matrix: groups that ask down, groups that are asked across. */

import type { Grouping } from "../report/report_data.ts";
import { bytesText, scaled } from "../unit_text.ts";
import { byId, make, shortName } from "./dom.ts";
import { MatrixTable } from "./grid.ts";
import type { Line, Model } from "./model.ts";

/** Rows and columns; the others are one. */
const GROUPS_MAX = 40;
const NAME_MAX = 24;

export const FIGURES = ["traffic", "connections", "failed"] as const;
export type Figure = typeof FIGURES[number];

const VALUES: Readonly<Record<Figure, { readonly of: (line: Line) => number; readonly text: (value: number) => string }>> = {
  traffic: { of: ({ bytes }) => bytes, text: bytesText },
  connections: { of: ({ connections }) => connections, text: (value) => scaled(value, "").trim() },
  failed: { of: ({ failed }) => failed, text: (value) => scaled(value, "").trim() },
};

/** @param onPair What a click on a cell asks for: edges from one group to another. */
export function showMatrix(model: Model, grouping: Grouping, figure: Figure, onPair: (from: number, to: number) => void): void {
  const lines = model.groupLines(grouping), sums = new Map<number, number>();
  for (const { from, to, bytes } of lines) for (const group of [from, to]) sums.set(group, (sums.get(group) ?? 0) + bytes);
  const shown = [...sums].sort(([, a], [, b]) => b - a).slice(0, GROUPS_MAX).map(([group]) => group),
    places = new Map(shown.map((group, i) => [group, i]));
  const rest = sums.size - shown.length, size = shown.length + (rest > 0 ? 1 : 0);
  const { of, text } = VALUES[figure], cells = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  for (const line of lines) cells[places.get(line.from) ?? shown.length]![places.get(line.to) ?? shown.length]! += of(line);
  const most = Math.max(1, ...cells.flat());
  const names = [...shown.map((group) => shortName(grouping.groups[group]!, NAME_MAX)), ...rest > 0 ? [`${rest} others`] : []];
  byId("matrix-note").textContent = `Rows ask columns; groups are ${grouping.meaning}.${
    rest > 0 ? ` The ${GROUPS_MAX} groups with the most traffic, and ${rest} others as one.` : ""
  } A click on a cell lists its edges.`;
  MatrixTable.show(byId("matrix"), names, (row, column) => {
    const value = cells[row]![column]!, cell = make("span", value === 0 ? "" : text(value));
    const share = value === 0 ? 0 : 0.06 + 0.6 * Math.log1p(value) / Math.log1p(most) * Math.sqrt(value / most) + 0.05;
    const isFailure = figure === "failed";
    return {
      cell,
      background: value === 0 ? "" : `rgba(${isFailure ? "180, 35, 24" : "29, 95, 168"}, ${Math.min(0.75, share).toFixed(2)})`,
    };
  }, (row, column) => row < shown.length && column < shown.length ? onPair(shown[row]!, shown[column]!) : undefined);
}
