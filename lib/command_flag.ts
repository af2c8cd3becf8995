/** Flags of a command line that stand for a key of the configuration file. */

import { InvalidArgumentError } from "@commander-js/extra-typings";

interface Flag<T> {
  readonly needed: string;
  readonly schema: { safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false } };
}

/**
 * A flag has the bounds of the file's key.
 *
 * @throws {InvalidArgumentError} If the value is out of them.
 */
export function readFlag<T>({ schema, needed }: Flag<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new InvalidArgumentError(`Needed ${needed}.`);
  return parsed.data;
}
