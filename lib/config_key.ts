/** Keys of the programs' configuration files: their bounds, and what the reference says of each. */

import { z } from "zod";

/** What the reference says of a key. */
export interface KeyText {
  readonly byDefault: string;
  /** Whether SIGHUP puts a changed value into force. */
  readonly reloads: boolean;
  readonly meaning: string;
}

/** A key of the file; `needed` is what the message says and the reference repeats. */
export interface ConfigKey<S extends z.ZodType> extends KeyText {
  readonly schema: S;
  readonly needed: string;
}

export function key<S extends z.ZodType>(make: (needed: string) => S, needed: string, text: KeyText): ConfigKey<S> {
  return { schema: make(needed), needed, ...text };
}

export function integerKey(min: number, max: number, text: KeyText): ConfigKey<z.ZodInt> {
  return key((needed) => z.int({ error: needed }).min(min, { error: needed }).max(max, { error: needed }), `${min} to ${max}`, text);
}

/** Text that `read` understands; it gives null where it does not. */
export function textOf<T>(needed: string, read: (text: string) => T | null): z.ZodType<T, string> {
  return z.string({ error: needed }).transform((text, context) => {
    const value = read(text);
    if (value !== null) return value;
    context.addIssue({ code: "custom", message: needed, input: text });
    return z.NEVER;
  });
}

/** Text that `read` understands; where it throws a SyntaxError, it does not. */
export function syntaxOf<T>(needed: string, read: (text: string) => T): z.ZodType<T, string> {
  return textOf(needed, (text) => {
    try {
      return read(text);
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  });
}

/** The reference's table of keys, in Markdown. */
export function keyTable(keys: Readonly<Record<string, ConfigKey<z.ZodType>>>): string {
  const rows = Object.entries(keys).map(([name, { needed, byDefault, reloads, meaning }]) =>
    [`\`${name}\``, needed, byDefault, reloads ? "yes" : "no", meaning].map((text) => text.replaceAll("|", "\\|")).join(" | ")
  );
  return `| Key | Needed | Default | Reloads | Meaning |
| --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}`;
}
