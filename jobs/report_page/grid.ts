/// <reference lib="dom" />
/** Tables that draw only the rows in sight, sort and filter (Tabulator). */

// @ts-types="npm:@types/tabulator-tables@6.3.6"
import {
  type ColumnDefinition,
  FilterModule,
  FormatModule,
  FrozenColumnsModule,
  InteractionModule,
  ResizeColumnsModule,
  ResizeTableModule,
  SortModule,
  Tabulator,
} from "tabulator-tables";
import TABULATOR_CSS from "tabulator.css" with { type: "text" };
import type { ReportTable } from "../report/report_data.ts";
import { cell, heading } from "../unit_text.ts";

Tabulator.registerModule([
  FilterModule,
  FormatModule,
  FrozenColumnsModule,
  InteractionModule,
  ResizeColumnsModule,
  ResizeTableModule,
  SortModule,
]);

/** Puts the tables' style into the page. */
export function addGridStyle(): void {
  const style = document.createElement("style");
  style.textContent = TABULATOR_CSS;
  document.head.prepend(style);
}

type Value = string | number | null;
/** Values by column "c0", "c1", ..., so that no column's name can be anything else. */
type GridRow = Readonly<Record<string, Value>>;

/** Pixels; an option that the types do not know. */
const AT_MOST = { maxInitialWidth: 420 };

export class DataTable {
  readonly #grid: Tabulator;
  readonly #table: ReportTable;

  /** @param onService Of a click on a cell with a service's name. */
  constructor(
    element: HTMLElement,
    table: ReportTable,
    isService: (text: string) => boolean,
    onService: (name: string) => void,
    onCount: (rows: number) => void,
  ) {
    this.#table = table;
    const columns = table.columns.map(({ name, isNumber }, i): ColumnDefinition => ({
      title: heading(name),
      field: `c${i}`,
      hozAlign: isNumber ? "right" : "left",
      headerHozAlign: isNumber ? "right" : "left",
      sorter: isNumber ? "number" : "string",
      sorterParams: { alignEmptyValues: "bottom" },
      headerSortStartingDir: isNumber ? "desc" : "asc",
      ...AT_MOST,
      formatter: (at) => {
        const value = at.getValue(), element = at.getElement();
        if (!isNumber && isService(String(value))) element.classList.add("link");
        return textElement(cell(name, value, isNumber));
      },
      cellClick: (_, at) => isService(String(at.getValue())) && !isNumber ? onService(String(at.getValue())) : undefined,
    }));
    const data = table.rows.map((row): GridRow => Object.fromEntries(row.map((value, i) => [`c${i}`, value])));
    this.#grid = new Tabulator(element, {
      data,
      columns,
      layout: "fitDataFill",
      height: "calc(100vh - 16rem)",
      placeholder: "No row.",
      renderHorizontal: "basic",
    });
    this.#grid.on("dataFiltered", (_, rows) => onCount(rows.length));
    this.#grid.on("tableBuilt", () => onCount(data.length));
  }

  /** Rows of which some cell, as it is shown, has the text, and that meet `also`. */
  filter(text: string, also: ((row: readonly Value[]) => boolean) | null): void {
    const needle = text.toLowerCase(), { columns } = this.#table;
    this.#grid.setFilter((row: GridRow) => {
      const values = columns.map((_, i) => row[`c${i}`] ?? null);
      if (also !== null && !also(values)) return false;
      return columns.some(({ name, isNumber }, i) =>
        cell(name, values[i], isNumber).toLowerCase().includes(needle) || String(values[i]).toLowerCase().includes(needle)
      );
    });
  }

  destroy(): void {
    this.#grid.destroy();
  }
}

/** Tabulator takes a text for markup, an element for itself. */
function textElement(text: string): HTMLElement {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}

export class MatrixTable {
  static #shown: Tabulator | null = null;

  /** Replaces the matrix that is shown. */
  static show(
    element: HTMLElement,
    names: readonly string[],
    cellOf: (row: number, column: number) => { readonly cell: HTMLElement; readonly background: string },
    onClick: (row: number, column: number) => void,
  ): void {
    this.#shown?.destroy();
    const data = names.map((name, row) => ({ name, row }));
    this.#shown = new Tabulator(element, {
      data,
      height: "calc(100vh - 15rem)",
      layout: "fitData",
      columnDefaults: { headerSort: false, resizable: false },
      columns: [
        { title: "", field: "name", frozen: true, formatter: (at) => textElement(String(at.getValue())) },
        ...names.map((name, column): ColumnDefinition => ({
          title: "",
          titleFormatter: () => textElement(name),
          field: "row",
          headerVertical: names.length > 10,
          hozAlign: "right",
          minWidth: 62,
          formatter: (at) => {
            const { cell, background } = cellOf(Number(at.getValue()), column);
            at.getElement().style.backgroundColor = background;
            return cell;
          },
          cellClick: (_, at) => onClick(Number(at.getValue()), column),
        })),
      ],
    });
  }
}
