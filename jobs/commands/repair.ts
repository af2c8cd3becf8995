/** The command `jobs repair`. */

import type { Command } from "@commander-js/extra-typings";
import { log } from "../../lib/log.ts";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { parseLossPlace } from "../repair/loss.ts";
import { repairLake } from "../repair/repair.ts";
import { checked } from "./checked.ts";

export function addRepairCommand(program: Command): void {
  program.command("repair")
    .description("put files that are missing or damaged right: make them again from what they came from, or give them up")
    .requiredOption("--lake <dir>", "folder of the lake")
    .option("--topic <url>", `the topic that the rows came from: ${TOPIC_URL_FORMS}`)
    .option(
      "--accept-loss <place>",
      "give up what cannot be made again: a table, folder or file, as the error names it; the history tells how many rows; may be repeated",
      (text: string, places: readonly string[]): readonly string[] => [...places, checked(parseLossPlace)(text)],
      [],
    )
    .action(async ({ lake, topic = null, acceptLoss }) => {
      const result = await repairLake(lake, { topicUrl: topic, acceptedLosses: acceptLoss });
      if (result === null) return log("info", "jobs", "another run is at work", { lake });
      log("info", "jobs", "repaired", { files: result.files, restored_rows: result.restoredRows, lost_rows: result.lostRows });
    });
}
