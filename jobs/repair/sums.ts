/** Makes hours and days of edges again, of which a file is damaged: a day's sums are made anew from what they are sums of. */

import { ROLL_UPS, type RollUp, rollUp } from "../compact/roll_up.ts";
import type { Database } from "../duckdb.ts";
import type { Snapshot } from "../lake/delta_log.ts";
import { readTable, selectFiles, type TableDefinition, tableDirectory } from "../lake/table.ts";
import { EDGE_1H, EDGE_1M } from "../lake/tables.ts";
import { Origins } from "./origins.ts";

/** Makes days of one table of sums. */
export class SumRestorer {
  readonly #database: Database;
  readonly #lake: string;
  readonly #step: RollUp;
  readonly #minutes: Snapshot;
  /** What is preferred first. */
  readonly #sources: readonly DaySource[];

  private constructor(database: Database, lake: string, step: RollUp, minutes: Snapshot, sources: readonly DaySource[]) {
    this.#database = database;
    this.#lake = lake;
    this.#step = step;
    this.#minutes = minutes;
    this.#sources = sources;
  }

  /**
   * @param hoursAreWhole Whether every file of `edge_1h` can be read: then days can be made from hours too.
   * @throws {LakeError} As `rollUp()`.
   */
  static async open(database: Database, lake: string, definition: TableDefinition, hoursAreWhole: boolean): Promise<SumRestorer> {
    const step = ROLL_UPS.find(({ target }) => target === definition)!;
    const minutes = await readTable(tableDirectory(lake, EDGE_1M), EDGE_1M, database);
    const sources = [await daySource(EDGE_1M, tableDirectory(lake, EDGE_1M), minutes)];
    if (definition !== EDGE_1H && hoursAreWhole) {
      await rollUp(database, lake, minutes, ROLL_UPS.find(({ target }) => target === EDGE_1H)!); // as far as the days will be
      const directory = tableDirectory(lake, EDGE_1H);
      sources.push(await daySource(EDGE_1H, directory, await readTable(directory, EDGE_1H, database)));
    }
    return new SumRestorer(database, lake, step, minutes, sources);
  }

  /** Why the sums of a day cannot be made again; null where they can. */
  obstacle(date: string): string | null {
    return this.#sourceOf(date) === null ? "whose minutes are no longer kept" : null;
  }

  /** Makes the sums of these days anew. @throws {LakeError} As `rollUp()`. */
  async restore(days: readonly string[]): Promise<void> {
    const anew = new Map(days.map((date) => {
      const { definition, directory, filesOf } = this.#sourceOf(date)!;
      return [date, definition === EDGE_1M ? null : selectFiles(directory, definition, filesOf(date))];
    }));
    await rollUp(this.#database, this.#lake, this.#minutes, this.#step, anew);
  }

  #sourceOf(date: string): DaySource | null {
    return this.#sources.find(({ isWhole, filesOf }) => isWhole(date) && filesOf(date).length > 0) ?? null;
  }
}

interface DaySource {
  readonly definition: TableDefinition;
  readonly directory: string;
  readonly isWhole: (date: string) => boolean;
  readonly filesOf: (date: string) => string[];
}

async function daySource(definition: TableDefinition, directory: string, { files }: Snapshot): Promise<DaySource> {
  const { dropped } = await Origins.read(directory);
  return {
    definition,
    directory,
    isWhole: (date) => !dropped.some((values) => values["date"] === date),
    filesOf: (date) => [...files.values()].filter(({ partitionValues }) => partitionValues["date"] === date).map(({ path }) => path),
  };
}
