/** Reads a program's configuration file, YAML 1.2 or JSON, and says the line of everything that is wrong in it. */

import { type Document, isMap, isNode, isSeq, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";

const VALUE_CHARACTERS_MAX = 80;
/** Anchors that may be referred to: enough for people, too few for a file that unfolds to gigabytes. */
const ALIASES_MAX = 100;

type Path = readonly PropertyKey[];

/**
 * Reads a file's text.
 *
 * @param schema The file as a whole, an object of keys; its messages are what is needed.
 * @throws {SyntaxError} If it is no YAML, a key is unknown, or a value is impossible; the message names the file, the line
 * and what is needed, of the first fault.
 */
export function parseConfigFile<S extends z.ZodObject>(path: string, text: string, schema: S): z.output<S> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fault = (offset: number, what: string) =>
    new SyntaxError(`Cannot read configuration "${path}", line ${lines.linePos(offset).line}: ${what}`);
  const [error] = document.errors;
  if (error !== undefined) throw fault(error.pos[0], error.message);
  const value = unfold(document, (what) => fault(0, what));
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues.map((i) => ({ offset: offsetOf(document, i), what: describe(i, value, schema) }))
    .sort((a, b) => a.offset - b.offset);
  throw fault(issue!.offset, issue!.what);
}

/** The lines at which the items of a list stand, of a file that `parseConfigFile()` has read. */
export function itemLines(text: string, key: string): number[] {
  const lines = new LineCounter();
  const list = parseDocument(text, { lineCounter: lines, prettyErrors: false }).get(key, true);
  return isSeq(list) ? list.items.map((item) => lines.linePos(isNode(item) && item.range ? item.range[0] : 0).line) : [];
}

/** The document as plain values; an empty one says nothing, which leaves every default. */
function unfold(document: Document, fault: (what: string) => SyntaxError): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {};
  } catch (error) {
    if (error instanceof ReferenceError) throw fault(error.message); // yaml's word for too many aliases
    throw error;
  }
}

function describe(issue: z.core.$ZodIssue, root: unknown, schema: z.ZodObject): string {
  if (issue.code === "unrecognized_keys") {
    const known = issue.path.length === 0 ? `, needed one of ${Object.keys(schema.shape).join(", ")}` : "";
    return `${nameOf([...issue.path, ...issue.keys.slice(0, 1)])}: there is no such key${known}`;
  }
  const value = valueAt(root, issue.path);
  return `${nameOf(issue.path)}: ${value === undefined ? "it is missing" : shorten(JSON.stringify(value))}, needed ${issue.message}`;
}

/** As people write it: `services[0].command_line`. */
function nameOf(path: Path): string {
  if (path.length === 0) return "the file";
  return path.map((part, i) => typeof part === "number" ? `[${part}]` : i === 0 ? String(part) : `.${String(part)}`).join("");
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === String(part))?.[1];
  }
  return value;
}

/** Where the fault stands: at the key that is unknown, else at the value, or at what lacks it. */
function offsetOf(document: Document, issue: z.core.$ZodIssue): number {
  if (issue.code === "unrecognized_keys") {
    const map = issue.path.length === 0 ? document.contents : document.getIn(issue.path, true);
    const pair = isMap(map) ? map.items.find(({ key }) => isNode(key) && String(key) === issue.keys[0]) : undefined;
    if (isNode(pair?.key) && pair.key.range) return pair.key.range[0];
  }
  for (let length = issue.path.length; length > 0; length--) {
    const node = document.getIn(issue.path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}

function shorten(text: string): string {
  return text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}...` : text;
}

/** Whether reading a file failed for a reason that its owner can mend. */
export function isUnreadable(error: unknown): boolean {
  const { NotFound, PermissionDenied, NotADirectory, IsADirectory } = Deno.errors;
  return [NotFound, PermissionDenied, NotADirectory, IsADirectory].some((kind) => error instanceof kind);
}
