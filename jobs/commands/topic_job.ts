/** What the commands of jobs that read a topic have in common. */

import { Option } from "@commander-js/extra-typings";
import { type Gap, parseGap } from "../topic_reader.ts";
import { type OtherMessages, parseOtherMessages } from "../last_message.ts";
import { checked } from "./checked.ts";

export const groupOption = new Option(
  "--group <name>",
  "share the partitions of a Kafka topic with the other members of this consumer group",
).conflicts("partitions");

export const acceptGapOption = new Option(
  "--accept-gap <partition:from-to>",
  "give up messages that the topic no longer has, from the first offset to before the second; may be repeated",
).argParser((text, gaps: readonly Gap[]): readonly Gap[] => [...gaps, checked(parseGap)(text)]).default([]);

export const acceptOtherMessagesOption = new Option(
  "--accept-other-messages <partition:offset>",
  "go on at the offset although the topic has other messages before it than the lake took in; may be repeated",
).argParser((text, others: readonly OtherMessages[]): readonly OtherMessages[] => [...others, checked(parseOtherMessages)(text)]).default(
  [],
);

/** Aborted by SIGINT and SIGTERM where the job follows; one that does not is ended by them. */
export function stopSignal(follows: boolean): AbortSignal {
  const stop = new AbortController();
  if (follows) { for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort()); }
  return stop.signal;
}
