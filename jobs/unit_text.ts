/** Values as people read them: units go from a column's name to the value. */

/** Control characters, line ends of Unicode, and marks that turn the direction of writing. */
// deno-lint-ignore no-control-regex -- they are what it is about
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g;

/** How a column's name says its unit, which people read beside the value, and how that is written there. The first that fits. */
const UNITS: readonly (readonly [suffix: string, text: (value: number) => string])[] = [
  ["_bytes_per_second", (value) => `${bytesText(value)}/s`],
  ["_bps_per_day", (value) => `${scaled(value, "bit/s")} a day`],
  ["_per_second", (value) => scaled(value, "/s")],
  ["_bps", (value) => scaled(value, "bit/s")],
  ["_bytes", bytesText],
  ["_us", durationText],
  ["_percent", (value) => `${value} %`],
];

function unitOf(name: string): (typeof UNITS)[number] | undefined {
  return UNITS.find(([suffix]) => name.endsWith(suffix));
}

/** Units that people read go from the name to the value. */
export function heading(name: string): string {
  return name.slice(0, name.length - (unitOf(name)?.[0].length ?? 0)).replaceAll("_", " ");
}

/** A value as people read it. */
export function cell(name: string, value: unknown, isNumber: boolean): string {
  if (value === null || value === undefined) return "";
  if (isNumber) return unitOf(name)?.[1](Number(value)) ?? String(value);
  return plainText(typeof value === "object" ? JSON.stringify(value) : String(value));
}

/** Without what a command line may hold that would move a terminal's cursor, or make a text read as another. */
export function plainText(text: string): string {
  return text.replace(CONTROL_CHARACTERS, " ");
}

/** A number to three digits with the prefix of the SI that makes it short, as in "3.2 k/s". */
export function scaled(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P"];
  let rest = Math.abs(value), prefix = 0;
  for (; rest >= 1_000 && prefix < prefixes.length - 1; prefix++) rest /= 1_000;
  return `${Math.sign(value) * Number(rest.toPrecision(3))} ${prefixes[prefix]}${unit}`;
}

/** Bytes as people say them, to three digits. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes, unit = 0;
  for (; value >= 1_024 && unit < units.length - 1; unit++) value /= 1_024;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Microseconds as people say them. */
export function durationText(us: number): string {
  if (us < 1_000) return `${us} us`;
  return us < 1_000_000 ? `${Number((us / 1_000).toPrecision(3))} ms` : `${Number((us / 1_000_000).toPrecision(3))} s`;
}
