/** The command `jobs repair`. */

import type { Command } from "@commander-js/extra-typings";
import { log } from "../../lib/log.ts";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { repairLake } from "../repair.ts";

export function addRepairCommand(program: Command): void {
  program.command("repair")
    .description("put data files that are missing or damaged right: read their rows from the topic again, or give them up")
    .requiredOption("--lake <dir>", "folder of the lake")
    .option("--topic <url>", `the topic that the rows came from: ${TOPIC_URL_FORMS}`)
    .option("--accept-loss", "give up what the topic no longer has; the table's history tells how many rows", false)
    .action(async ({ lake, topic = null, acceptLoss }) => {
      const result = await repairLake(lake, { topicUrl: topic, acceptsLoss: acceptLoss });
      if (result === null) return log("info", "jobs", "another repair is at work", { lake });
      log("info", "jobs", "repaired", { files: result.files, restored_rows: result.restoredRows, lost_rows: result.lostRows });
    });
}
