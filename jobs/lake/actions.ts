/** Actions of a Delta Lake table's log (github.com/delta-io/delta, PROTOCOL.md, "Actions"), checked as they are read. */

import { z } from "zod";

/** A lake that cannot be read or written; the message names the file and what to do. */
export class LakeError extends Error {
  override readonly name = "LakeError";
}

const Texts = z.record(z.string(), z.string());

const Add = z.looseObject({
  /** Relative to the table's folder, URL-encoded. */
  path: z.string(),
  partitionValues: z.record(z.string(), z.string().nullable()),
  size: z.coerce.number(),
  modificationTime: z.coerce.number(),
  dataChange: z.boolean(),
  stats: z.string().nullish(),
  tags: Texts.nullish(),
});
const Remove = z.looseObject({ path: z.string(), dataChange: z.boolean(), deletionTimestamp: z.coerce.number().nullish() });
const Txn = z.looseObject({ appId: z.string(), version: z.coerce.bigint() });
const MetaData = z.looseObject({
  id: z.string(),
  schemaString: z.string(),
  partitionColumns: z.array(z.string()),
  configuration: Texts.nullish(),
});
const Protocol = z.looseObject({ minReaderVersion: z.coerce.number(), minWriterVersion: z.coerce.number() });
const CommitInfo = z.looseObject({
  timestamp: z.coerce.number().nullish(),
  operation: z.string().nullish(),
  engineInfo: z.string().nullish(),
  operationParameters: z.record(z.string(), z.unknown()).nullish(),
});

const Action = z.looseObject({
  add: Add.nullish(),
  remove: Remove.nullish(),
  txn: Txn.nullish(),
  metaData: MetaData.nullish(),
  protocol: Protocol.nullish(),
  commitInfo: CommitInfo.nullish(),
});

export type AddFile = z.infer<typeof Add>;
export type RemoveFile = z.infer<typeof Remove>;
export type TableMetaData = z.infer<typeof MetaData>;
export type TableProtocol = z.infer<typeof Protocol>;
export type LogAction = z.infer<typeof Action>;

/** @throws {LakeError} If the value is no action; it says where. */
export function parseAction(value: unknown, path: string, line: number): LogAction {
  if (isPlainAdd(value)) return value;
  const parsed = Action.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LakeError(
    `Cannot read lake file "${path}": line ${line} is no action of a Delta log: ${z.prettifyError(parsed.error)}; ${remedy(path)}`,
  );
}

/** @throws {LakeError} If the text is no JSON; it says where. */
export function parseJson(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LakeError(`Cannot read lake file "${path}": line ${line} is no JSON; ${remedy(path)}`, { cause });
  }
}

/** Undefined where the text is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** @param path Of a version, or of a checkpoint. */
function remedy(path: string): string {
  const [, lake, version] = /^(.*)\/([^/]+\/_delta_log\/\d+\.json)$/.exec(path) ?? [];
  const other = version === undefined
    ? ""
    : `, or put it right with "jobs repair --lake ${lake}", or give up what it brought with "jobs repair --lake ${lake} --accept-loss ${version}"`;
  return `restore the file from a copy${other}`;
}

/** A file alone, with all as it should be: most of a long log is that, and the checks below would take most of the time. */
function isPlainAdd(value: unknown): value is { readonly add: AddFile } {
  if (!isRecord(value) || !isRecord(value["add"])) return false;
  for (const name in value) if (name !== "add" && value[name] !== null) return false;
  const { path, partitionValues, size, modificationTime, dataChange, stats, tags } = value["add"];
  return typeof path === "string" && typeof size === "number" && typeof modificationTime === "number" && typeof dataChange === "boolean" &&
    (typeof stats === "string" || stats === null || stats === undefined) && areTexts(partitionValues) &&
    (tags === null || tags === undefined || areTexts(tags));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function areTexts(value: unknown): boolean {
  if (!isRecord(value)) return false;
  for (const name in value) if (typeof value[name] !== "string") return false;
  return true;
}
