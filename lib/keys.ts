/** Names of a record's fields, with their type. */

/** Keys of a record that has no others than its type says. */
export function keysOf<K extends string>(record: Readonly<Record<K, unknown>>): K[] {
  const isKey = (name: string): name is K => Object.hasOwn(record, name);
  return Object.keys(record).filter(isKey);
}
