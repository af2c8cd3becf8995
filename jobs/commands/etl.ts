/** The command `jobs run etl`. */

import type { Command } from "@commander-js/extra-typings";
import { keepFreedMemory } from "../../ffi/libc_malloc.ts";
import { log } from "../../lib/log.ts";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { runEtl } from "../etl.ts";
import { parsePartitionSet } from "../partition_set.ts";
import { checked } from "./checked.ts";
import { acceptGapOption, acceptOtherMessagesOption, groupOption, stopSignal } from "./topic_job.ts";

/** What messages of one reading and the rows of a row group take, which are freed and taken again all the time. */
const KEPT_BYTES = 256 * 1024 * 1024;

export const ETL_DESCRIPTION = "move everything new in a topic into the lake, each row exactly once";

/** Adds the command below `jobs run`. */
export function addEtlCommand(run: Command): void {
  run.command("etl")
    .description(ETL_DESCRIPTION)
    .requiredOption("--topic <url>", TOPIC_URL_FORMS)
    .requiredOption("--lake <dir>", "folder of the lake; made where there is none")
    .option("--follow", "go on until stopped: what comes into the topic is in the lake some seconds later", false)
    .option("--partitions <list>", 'move these partitions alone, as in "0-3,7"; other writers move the others', checked(parsePartitionSet))
    .addOption(groupOption)
    .addOption(acceptGapOption)
    .addOption(acceptOtherMessagesOption)
    .action(async ({ topic, lake, follow, partitions = null, group = null, acceptGap, acceptOtherMessages }) => {
      keepFreedMemory(KEPT_BYTES);
      const result = await runEtl(topic, lake, {
        partitions,
        group,
        acceptedGaps: acceptGap,
        acceptedOthers: acceptOtherMessages,
        follow,
      }, stopSignal(follow));
      if (result.version === null) return log("info", "jobs", "another run is at work", { lake });
      log("info", "jobs", "etl done", {
        rows: result.rows,
        commits: result.commits,
        dead_letters: result.deadLetters,
        version: String(result.version),
      });
    });
}
