/** The commands that keep a lake in order: `jobs run compact` and `jobs vacuum`. */

import type { Command } from "@commander-js/extra-typings";
import { log } from "../../lib/log.ts";
import { runCompact } from "../compact.ts";
import { type KeepDays, parseKeepDays } from "../compact/retention.ts";
import { bytesText } from "../unit_text.ts";
import { parseHours, runVacuum } from "../vacuum.ts";
import { checked } from "./checked.ts";

export const COMPACT_DESCRIPTION = "roll edges up to hours and days, drop what is too old, and make few sorted files of many small ones";

/** Adds `compact` below `jobs run`. */
export function addCompactCommand(run: Command): void {
  run.command("compact")
    .description(COMPACT_DESCRIPTION)
    .requiredOption("--lake <dir>", "folder of the lake")
    .option(
      "--keep-days <table=days>",
      "drop hours and days of the table that are older than so many days; without it they are kept for ever; may be repeated",
      (text: string, days: KeepDays): KeepDays => new Map([...days, checked(parseKeepDays)(text)]),
      new Map(),
    )
    .action(async ({ lake, keepDays }) => {
      const result = await runCompact(lake, keepDays);
      if (result === null) return log("info", "jobs", "another run is at work", { lake });
      log("info", "jobs", "compact done", {
        files_before: result.filesBefore,
        files_after: result.filesAfter,
        rows: result.rows,
        dropped_files: result.dropped,
        rolled_days: result.rolledDays,
      });
    });
}

export function addVacuumCommand(program: Command): void {
  program.command("vacuum")
    .description("delete files that are no longer part of the lake, that nobody reads and that cannot be asked for any more")
    .requiredOption("--lake <dir>", "folder of the lake")
    .option(
      "--retain-hours <hours>",
      "how long a file stays that is no longer part of a table, so that the lake can be asked as of then; without it what the table " +
        "says (delta.deletedFileRetentionDuration), or else 168",
      checked(parseHours),
    )
    .option("--dry-run", "only print what would be deleted", false)
    .action(async ({ lake, retainHours, dryRun }) => {
      const dead = await runVacuum(lake, { retainMs: retainHours === undefined ? null : retainHours * 3_600_000, isDryRun: dryRun });
      if (dead === null) return log("info", "jobs", "another run is at work", { lake });
      if (dryRun) { for (const { path } of dead) console.log(path); }
      const bytes = dead.reduce((sum, { bytes }) => sum + bytes, 0);
      log("info", "jobs", dryRun ? "would be vacuumed" : "vacuumed", { files: dead.length, bytes, size: bytesText(bytes) });
    });
}
