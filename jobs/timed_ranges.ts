/** Address ranges that mean something for a time: who owns them, and which zone they are. */

import { z } from "zod";
import { parseAddressRange } from "../lib/ip_address.ts";
import { lineError, type Listed } from "./list_file.ts";
import { timeText, valuesView } from "./portable_sql.ts";

/** Addresses `low` to `high`, both of 128 bits, from `fromMs` until before `toMs`. */
export interface TimedRange {
  readonly low: bigint;
  readonly high: bigint;
  readonly fromMs: number;
  readonly toMs: number;
  readonly value: string;
}

const ADDRESS_BITS = 128n;
/** Before and after everything that a lake may hold; SQL has no common word for infinity. */
const EARLIEST_MS = Date.UTC(1000, 0, 1);
const LATEST_MS = Date.UTC(9999, 0, 1);

/** A moment with its offset from UTC, or a day, which begins at midnight UTC. */
export const moment = z.string("a time such as 2026-01-31T12:00:00Z").transform((text, context) => {
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(ms)) context.addIssue({ code: "custom", message: "a time such as 2026-01-31T12:00:00Z, or a day" });
  return ms;
});

/** Of an item of a file: the addresses, and when they are meant. */
export const RANGE_KEYS = {
  addresses: z.string("addresses such as 10.0.0.0/8, or one").transform((text, context) => {
    try {
      const { address, prefixBits } = parseAddressRange(text);
      const size = 1n << (ADDRESS_BITS - BigInt(prefixBits));
      const low = BigInt(`0x${hexOf(address)}`) & ~(size - 1n);
      return { text, low, high: low + size - 1n };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      context.addIssue({ code: "custom", message: `addresses such as 10.0.0.0/8 or fc00::/7 (${error.message})` });
      return z.NEVER;
    }
  }),
  valid_from: moment.default(EARLIEST_MS),
  valid_to: moment.default(LATEST_MS),
};

interface RangeItem {
  readonly addresses: { readonly text: string; readonly low: bigint; readonly high: bigint };
  readonly valid_from: number;
  readonly valid_to: number;
}

type Nesting = "nested may stand" | "none may overlap";

/**
 * Cuts ranges so that none has an address and a time in common with another; within a wider range, the narrower counts.
 *
 * @throws {SyntaxError} If two contradict each other: the same addresses at the same time, or with "none may overlap" any.
 */
export function cutRanges<T extends RangeItem>(
  path: string,
  items: readonly Listed<T>[],
  valueOf: (item: T) => string,
  nesting: Nesting,
): TimedRange[] {
  for (const { line, value } of items) {
    if (value.valid_from >= value.valid_to) {
      throw lineError(path, line, `it ends at ${timeText(value.valid_to)}, needed a time after its begin, ${timeText(value.valid_from)}`);
    }
  }
  const sorted = items.toSorted((a, b) =>
    compare(a.value.addresses.low, b.value.addresses.low) || compare(b.value.addresses.high, a.value.addresses.high)
  );
  const cut: TimedRange[] = [];
  let covering: Listed<T>[] = [];
  let next = 0n;
  const emit = (end: bigint): void => {
    if (end >= next) cut.push(...cutTimes(covering, next, end, valueOf));
    next = end + 1n;
  };
  const close = (before: bigint): void => {
    while (covering.length > 0 && covering.at(-1)!.value.addresses.high < before) {
      emit(covering.at(-1)!.value.addresses.high);
      covering = covering.slice(0, -1);
    }
  };
  for (const item of sorted) {
    const { low } = item.value.addresses;
    close(low);
    assertAgrees(path, item, covering, nesting);
    if (covering.length > 0) emit(low - 1n);
    next = low;
    covering = [...covering, item];
  }
  close(1n << ADDRESS_BITS);
  return cut;
}

/** Ranges of prefixes hold one another or are apart; so those that cover an address are those on the way to it. */
function assertAgrees<T extends RangeItem>(path: string, item: Listed<T>, covering: readonly Listed<T>[], nesting: Nesting): void {
  const { addresses, valid_from, valid_to } = item.value;
  const against = covering.find(({ value }) =>
    value.valid_from < valid_to && valid_from < value.valid_to &&
    (nesting === "none may overlap" || (value.addresses.low === addresses.low && value.addresses.high === addresses.high))
  );
  if (against === undefined) return;
  const [first, second] = against.line < item.line ? [against, item] : [item, against];
  throw lineError(
    path,
    second.line,
    `${second.value.addresses.text} overlaps ${first.value.addresses.text} of line ${first.line} at the same time, needed one meaning of each address`,
  );
}

/** @param covering From the widest to the narrowest. */
function cutTimes<T extends RangeItem>(
  covering: readonly Listed<T>[],
  low: bigint,
  high: bigint,
  valueOf: (item: T) => string,
): TimedRange[] {
  const moments = [...new Set(covering.flatMap(({ value }) => [value.valid_from, value.valid_to]))].sort((a, b) => a - b);
  return moments.slice(0, -1).flatMap((fromMs, i) => {
    const owner = covering.findLast(({ value }) => value.valid_from <= fromMs && fromMs < value.valid_to);
    return owner === undefined ? [] : [{ low, high, fromMs, toMs: moments[i + 1]!, value: valueOf(owner.value) }];
  });
}

/** A view of cut ranges with the columns range_low, range_high, `valueName`, valid_from, valid_to. */
export function rangesView(view: string, valueName: string, ranges: readonly TimedRange[]): string {
  const columns = [
    ["range_low", "binary"],
    ["range_high", "binary"],
    [valueName, "text"],
    ["valid_from", "time"],
    ["valid_to", "time"],
  ] as const;
  const bytes = (address: bigint) => address.toString(16).padStart(32, "0");
  return valuesView(view, columns, ranges.map(({ low, high, value, fromMs, toMs }) => [bytes(low), bytes(high), value, fromMs, toMs]));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
