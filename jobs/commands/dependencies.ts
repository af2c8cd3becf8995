/** The command `jobs run dependencies`. */

import type { Command } from "@commander-js/extra-typings";
import { log } from "../../lib/log.ts";
import { TOPIC_URL_FORMS } from "../../lib/topic/open.ts";
import { DEFAULT_LATENESS_MINUTES, runDependencies } from "../dependencies.ts";
import { parsePartitionSet } from "../partition_set.ts";
import { checked } from "./checked.ts";
import { acceptGapOption, acceptOtherMessagesOption, groupOption, stopSignal } from "./topic_job.ts";

const LATENESS_MINUTES_MAX = 60;

export const DEPENDENCIES_DESCRIPTION = "find the edges between services in a topic, minute by minute, as minutes close";

/** Adds the command below `jobs run`. */
export function addDependenciesCommand(run: Command): void {
  run.command("dependencies")
    .description(DEPENDENCIES_DESCRIPTION)
    .requiredOption("--topic <url>", TOPIC_URL_FORMS)
    .requiredOption("--lake <dir>", "folder of the lake, for its table edge_1m; made where there is none")
    .option("--output-topic <url>", "topic that the edges go to as well, each at least once")
    .option("--follow", "go on until stopped: a minute's edges are there some minutes after it", false)
    .option(
      "--lateness-minutes <minutes>",
      "how long a minute waits for rows after the next has begun; what comes later is added to it",
      checked(parseLateness),
      DEFAULT_LATENESS_MINUTES,
    )
    .option("--partitions <list>", 'take these partitions alone, as in "0-3,7"; other runs take the others', checked(parsePartitionSet))
    .addOption(groupOption)
    .addOption(acceptGapOption)
    .addOption(acceptOtherMessagesOption)
    .action(
      async (
        { topic, lake, outputTopic = null, follow, latenessMinutes, partitions = null, group = null, acceptGap, acceptOtherMessages },
      ) => {
        const options = {
          partitions,
          group,
          acceptedGaps: acceptGap,
          acceptedOthers: acceptOtherMessages,
          follow,
          latenessMinutes,
          outputTopic,
        };
        const result = await runDependencies(topic, lake, options, stopSignal(follow));
        if (result.version === null) return log("info", "jobs", "another run is at work", { lake });
        log("info", "jobs", "dependencies done", {
          rows: result.rows,
          edges: result.edges,
          set_aside: result.setAside,
          version: String(result.version),
        });
      },
    );
}

function parseLateness(text: string): number {
  const minutes = Number(text);
  if (/^\d{1,2}$/.test(text) && minutes <= LATENESS_MINUTES_MAX) return minutes;
  throw new SyntaxError(`Cannot read lateness "${text}": needed whole minutes, 0 to ${LATENESS_MINUTES_MAX}`);
}
