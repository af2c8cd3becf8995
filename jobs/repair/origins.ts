/** Where the rows of a data file came from: the commits that first brought them, found through all that replaced files since. */

import { z } from "zod";
import { type AddFile, listLog, readVersionIfPresent } from "../lake/delta_log.ts";

/** A file as the job wrote it that read the topic, and what its commit tells. */
export interface Origin {
  readonly file: AddFile;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** How a file came into the table: by itself, or in the place of others. */
interface Birth extends Origin {
  readonly replaced: readonly string[];
}

/** By partition column, its value. */
type PartitionValues = Readonly<Record<string, string | null>>;

const Values = z.record(z.string(), z.string().nullable());

/** The files of a table's log by how they came into it. */
export class Origins {
  readonly #births: ReadonlyMap<string, Birth>;
  /** Hours or days of which rows were dropped or given up. */
  readonly dropped: readonly PartitionValues[];

  private constructor(births: ReadonlyMap<string, Birth>, dropped: readonly PartitionValues[]) {
    this.#births = births;
    this.dropped = dropped;
  }

  /** Reads the whole log. @throws {LakeError} If a version cannot be read. */
  static async read(directory: string): Promise<Origins> {
    const births = new Map<string, Birth>(), dropped: PartitionValues[] = [];
    for (const version of listLog(directory).versions) {
      const actions = await readVersionIfPresent(directory, version) ?? []; // its time was over meanwhile
      const info = actions.find(({ commitInfo }) => commitInfo)?.commitInfo, parameters = info?.operationParameters ?? {};
      const removes = actions.map(({ remove }) => remove).filter((remove) => remove !== null && remove !== undefined);
      if (info?.operation === "DELETE" || info?.operation === "RESTORE") {
        dropped.push(...removes.filter(({ dataChange }) => dataChange).map((remove) => Values.parse(remove["partitionValues"])));
      }
      for (const { add } of actions) {
        if (!add || births.has(add.path)) continue;
        const isOfItsPlace = (values: unknown) => samePlace(values, add);
        const replaced = removes.filter((remove) => isOfItsPlace(remove["partitionValues"])).map(({ path }) => path);
        births.set(add.path, { file: add, parameters, replaced });
      }
    }
    return new Origins(births, dropped);
  }

  /** Null where the log no longer tells. */
  of(path: string): readonly Origin[] | null {
    const birth = this.#births.get(path);
    if (birth === undefined) return null;
    if (birth.replaced.length === 0) return [birth];
    const all: Origin[] = [];
    for (const replaced of birth.replaced) {
      const origins = this.of(replaced);
      if (origins === null) return null;
      all.push(...origins);
    }
    return all;
  }
}

function samePlace(values: unknown, { partitionValues }: AddFile): boolean {
  const parsed = Values.safeParse(values);
  if (!parsed.success) return true; // another program's commit need not tell
  return Object.entries(partitionValues).every(([name, value]) => parsed.data[name] === value);
}
