/** What the commits of a table say about the offsets that they took in, and whether these tile. */

import { z } from "zod";
import { jsonOf } from "../lake/actions.ts";
import { type AddFile, LakeError, logDirectory, readVersionIfPresent } from "../lake/delta_log.ts";
import { OTHER_MESSAGES_PARAMETER } from "../last_message.ts";
import { type Check, placeOf, type Problem } from "./finding.ts";

/** Offsets of one partition that one commit answers for. */
export interface TakenRange {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  /** Exclusive. */
  readonly to: bigint;
  readonly version: bigint;
  /** Whether the messages were given up, as somebody accepted. */
  readonly isGap: boolean;
}

/** A commit that took offsets in. */
export interface TakingCommit {
  readonly version: bigint;
  /** Rows of all its ranges, without those of hours that are no longer kept; null where the commit does not say. */
  readonly rows: number | null;
}

export interface History {
  /** Oldest version whose commit is still there. */
  readonly firstVersion: bigint;
  readonly versions: number;
  readonly ranges: readonly TakenRange[];
  readonly commits: readonly TakingCommit[];
  /** Hours that are no longer kept, or not as a whole, as `hourOf()` numbers them: an audit asks neither the lake nor the topic for their rows. */
  readonly droppedHours: ReadonlySet<number>;
  /** Where the topic was another from then on, as somebody has accepted; ascending by version. */
  readonly otherMessages: readonly { readonly topic: string; readonly partition: number; readonly before: bigint }[];
  /** Versions of `commits` that brought rows to such an hour. */
  readonly partlyDropped: ReadonlySet<bigint>;
}

const Ranges = z.record(z.string(), z.tuple([z.coerce.bigint(), z.coerce.bigint()]));
const Offsets = z.record(z.string().regex(/^.*:\d+$/), z.coerce.bigint());
const CommitInfo = z.looseObject({
  operation: z.string().optional(),
  operationParameters: z.looseObject({
    offsets: z.string().optional(),
    gaps: z.string().optional(),
    [OTHER_MESSAGES_PARAMETER]: z.string().optional(),
    rows: z.coerce.number().optional(),
  }).optional(),
});
const Partition = z.looseObject({ date: z.string(), hour: z.string() });
/** Retention drops whole hours; a repair may have been told to give some rows of one up. */
export const DROPPING: ReadonlySet<string> = new Set(["DELETE", "RESTORE"]);
const HOUR_MS = 3_600_000;
const APPLICATION = /^skyfall-etl:(.*):(\d+)$/;
const SOURCE = /^(.*):(\d+)$/;

/** @throws {LakeError} If a commit cannot be read. */
export async function readHistory(directory: string, versions: readonly bigint[]): Promise<History> {
  const next = new Map<string, bigint>();
  const ranges: TakenRange[] = [];
  const commits: TakingCommit[] = [];
  const otherMessages: History["otherMessages"][number][] = [];
  const droppedHours = new Set<number>(), added: AddedRows[] = [];
  for (const version of versions) {
    const actions = await readVersionIfPresent(directory, version) ?? []; // its time was over meanwhile
    const info = actions.map((action) => CommitInfo.safeParse(action["commitInfo"])).find(({ success }) => success);
    const parameters = info?.data?.operationParameters;
    const offsets = parseRanges(parameters?.offsets, directory, version), gaps = parseRanges(parameters?.gaps, directory, version);
    const add = (source: string, from: bigint, to: bigint, isGap: boolean) => {
      const [, topic, partition] = SOURCE.exec(source)!;
      ranges.push({ topic: topic!, partition: Number(partition), from, to, version, isGap });
    };
    for (const [source, [from, to]] of Object.entries(offsets ?? {})) add(source, from, to, false);
    for (const [source, [from, to]] of Object.entries(gaps ?? {})) add(source, from, to, true);
    for (const [source, before] of Object.entries(Offsets.parse(JSON.parse(parameters?.[OTHER_MESSAGES_PARAMETER] ?? "{}")))) {
      const [, topic, partition] = SOURCE.exec(source)!;
      otherMessages.push({ topic: topic!, partition: Number(partition), before });
    }
    let took = offsets !== null;
    for (const { add, remove } of actions) {
      if (add?.dataChange) added.push({ version, hour: hourOf(add.partitionValues), rows: rowsOf(add) });
      if (DROPPING.has(info?.data?.operation ?? "") && remove?.dataChange) droppedHours.add(hourOf(remove["partitionValues"]));
    }
    for (const { txn } of actions) {
      const match = txn && APPLICATION.exec(txn.appId);
      if (!match) continue;
      const source = `${match[1]}:${match[2]}`;
      // Commits of older versions tell where they end alone.
      if (offsets === null && gaps === null) {
        add(source, next.get(source) ?? 0n, txn.version, false);
        took = true;
      }
      next.set(source, txn.version);
    }
    if (took) commits.push({ version, rows: parameters?.rows ?? null });
  }
  const gone = added.filter(({ hour }) => droppedHours.has(hour)), goneRows = Map.groupBy(gone, ({ version }) => version);
  const left = commits.map(({ version, rows }) => ({
    version,
    rows: rows === null ? null : rows - (goneRows.get(version) ?? []).reduce((sum, { rows }) => sum + rows, 0),
  }));
  return {
    firstVersion: versions[0] ?? 0n,
    versions: versions.length,
    ranges,
    commits: left,
    droppedHours,
    otherMessages,
    partlyDropped: new Set(goneRows.keys()),
  };
}

interface AddedRows {
  readonly version: bigint;
  readonly hour: number;
  readonly rows: number;
}

/** Hours since 1970 at which the partition begins. */
export function hourOf(partitionValues: unknown): number {
  const { date, hour } = Partition.parse(partitionValues);
  return Date.parse(`${date}T00:00:00Z`) / HOUR_MS + Number(hour);
}

export function rowsOf({ stats }: AddFile): number {
  return stats ? Number(JSON.parse(stats).numRecords) : 0;
}

function parseRanges(text: string | undefined, directory: string, version: bigint): z.infer<typeof Ranges> | null {
  if (text === undefined) return null;
  const parsed = Ranges.safeParse(jsonOf(text));
  if (parsed.success && Object.keys(parsed.data).every((source) => SOURCE.test(source))) return parsed.data;
  throw new LakeError(
    `Cannot read lake "${logDirectory(directory)}": version ${version} has offsets "${text}", needed {"TOPIC:PARTITION":["FROM","TO"]}`,
  );
}

/** Whether every partition's ranges follow each other without a gap or an overlap, up to where the next run goes on. */
export function checkTiling(history: History, transactions: ReadonlyMap<string, bigint>, repair: string): Check {
  const sources = Map.groupBy(history.ranges, ({ topic, partition }) => `${topic}:${partition}`);
  const problems: Problem[] = [];
  for (const [source, ranges] of sources) {
    const sorted = ranges.toSorted((a, b) => a.from < b.from ? -1 : a.from > b.from ? 1 : 0);
    let end = sorted[0]!.from, endVersion = sorted[0]!.version;
    for (const { topic, partition, from, to, version } of sorted) {
      if (from > end) {
        problems.push({
          where: placeOf(topic, partition, end, from),
          what: `no commit took them in: version ${endVersion} ends before, version ${version} begins after`,
          repair,
        });
      }
      if (from < end) {
        problems.push({
          where: placeOf(topic, partition, from, end < to ? end : to),
          what: `versions ${endVersion} and ${version} both took them in`,
          repair,
        });
      }
      if (to > end) [end, endVersion] = [to, version];
    }
    const next = transactions.get(`skyfall-etl:${source}`);
    if (next !== undefined && next !== end) {
      const { topic, partition } = sorted[0]!;
      problems.push({
        where: placeOf(topic, partition, next < end ? next : end, next < end ? end : next),
        what: `the next run goes on at offset ${next}, the commits end before ${end}`,
        repair,
      });
    }
  }
  const gaps = history.ranges.filter(({ isGap }) => isGap);
  const given = gaps.length === 0
    ? ""
    : `; ${gaps.length} accepted gaps: ${gaps.map((g) => placeOf(g.topic, g.partition, g.from, g.to)).join(", ")}`;
  return {
    name: "offset ranges tile",
    examined:
      `${history.ranges.length} ranges of ${sources.size} partitions in ${history.versions} commits from version ${history.firstVersion}${given}`,
    problems,
  };
}
