/** The option `--as-of` of every question, and of the audit. */

import { Option } from "@commander-js/extra-typings";
import { type AsOf, parseAsOf } from "../lake/time_travel.ts";
import { checked } from "./checked.ts";

export function asOfOption(): Option<"--as-of <version|time>", undefined, AsOf | null, AsOf> {
  return new Option("--as-of <version|time>", "ask the lake as it was: a version of flow, or a time in UTC such as 2026-01-02T03:04")
    .default(null)
    .argParser(checked(parseAsOf));
}
