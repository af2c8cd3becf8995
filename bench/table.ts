/** Tables of the benches. */

import Table from "cli-table3";

/** Rows under their heads, without rules between them. */
export function formatTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const noRule = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const table = new Table({ head: [...head], style: { head: [], border: [] }, chars: noRule });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
