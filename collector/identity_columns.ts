/** What rows say of their process, kept by column, so that a message's columns take no look at each process. */

import type { BigintColumn, IntegerColumn, TextColumn } from "../lib/flow_batch.ts";
import type { ProcessIdentity } from "./process_identity.ts";
import type { Scratch } from "./scratch.ts";

/** Places of a process's texts. */
export const TEXT = {
  host_id: 0,
  host_name: 1,
  boot_id: 2,
  address: 3,
  service_name: 4,
  executable_name: 5,
  executable_path: 6,
  command_line: 7,
  cgroup_path: 8,
} as const;
const TEXT_COUNT = 9;
const NO_TEXT = -1;
/** Texts that there is room for at first. */
const TEXTS_START = 1_024;
const FLOW_SOURCES = ["skyfall", "sflow"];

/** Processes by identity id. Equal texts have one number, so that a message's dictionary is made by comparing numbers. */
export class IdentityColumns {
  readonly #groups: Uint32Array;
  readonly #pids: Int32Array;
  readonly #userIds: Int32Array;
  readonly #hasUserId: Uint8Array;
  readonly #networkNamespaces: Float64Array;
  readonly #samplingRates: Int32Array;
  readonly #isEstimate: Uint8Array;
  /** Numbers of texts, by identity and place. */
  readonly #numbers: Int32Array;
  readonly #texts: string[] = [];
  readonly #numberOf = new Map<string, number>();
  readonly #freeNumbers: number[] = [];
  /** By number: the column that had the text last, and its code there. */
  #stamps = new Int32Array(TEXTS_START);
  #codes = new Int32Array(TEXTS_START);
  #stamp = 0;

  constructor(identitiesMax: number) {
    this.#groups = new Uint32Array(identitiesMax);
    this.#pids = new Int32Array(identitiesMax);
    this.#userIds = new Int32Array(identitiesMax);
    this.#hasUserId = new Uint8Array(identitiesMax);
    this.#networkNamespaces = new Float64Array(identitiesMax);
    this.#samplingRates = new Int32Array(identitiesMax);
    this.#isEstimate = new Uint8Array(identitiesMax);
    this.#numbers = new Int32Array(identitiesMax * TEXT_COUNT);
  }

  clear(): void {
    this.#texts.length = this.#freeNumbers.length = 0;
    this.#numberOf.clear();
  }

  /** Takes an identity in; returns a key that identities have in common whose rows are one: see `ProcessIdentity.group`. */
  set(id: number, process: Omit<ProcessIdentity, "group">): string {
    const { host, userId, networkNamespace, samplingRate } = process, isEstimate = process.flowSource === "sflow" ? 1 : 0;
    this.#pids[id] = process.pid ?? -1;
    this.#userIds[id] = userId ?? 0;
    this.#hasUserId[id] = userId === null ? 0 : 1;
    this.#networkNamespaces[id] = networkNamespace ?? -1;
    this.#samplingRates[id] = samplingRate;
    this.#isEstimate[id] = isEstimate;
    const texts = [
      host.hostId,
      host.hostName,
      host.bootId,
      host.address,
      process.serviceName,
      process.executableName,
      process.executablePath,
      process.commandLine,
      process.cgroupPath,
    ];
    const numbers = this.#numbers, at = id * TEXT_COUNT;
    for (let place = 0; place < TEXT_COUNT; place++) numbers[at + place] = this.#number(texts[place]!);
    const hostKey = `${numbers[at + TEXT.host_id]} ${numbers[at + TEXT.host_name]} ${numbers[at + TEXT.boot_id]} ${
      numbers[at + TEXT.address]
    }`;
    const processKey = `${numbers[at + TEXT.service_name]} ${numbers[at + TEXT.executable_name]} ${numbers[at + TEXT.cgroup_path]}`;
    return `${isEstimate} ${samplingRate} ${userId} ${networkNamespace} ${hostKey} ${processKey}`;
  }

  setGroup(id: number, group: number): void {
    this.#groups[id] = group;
  }

  /** Moves identities to new ids, none above its own and in ascending order, and forgets the texts that none has any more. */
  keep(newIds: ReadonlyMap<number, number>): void {
    const used = new Uint8Array(this.#texts.length);
    const columns = [
      this.#groups,
      this.#pids,
      this.#userIds,
      this.#hasUserId,
      this.#networkNamespaces,
      this.#samplingRates,
      this.#isEstimate,
    ];
    for (const [from, to] of newIds) {
      for (const column of columns) column[to] = column[from]!;
      for (let place = 0; place < TEXT_COUNT; place++) {
        const number = this.#numbers[to * TEXT_COUNT + place] = this.#numbers[from * TEXT_COUNT + place]!;
        if (number !== NO_TEXT) used[number] = 1;
      }
    }
    for (let number = 0; number < used.length; number++) {
      if (used[number] === 1 || this.#numberOf.get(this.#texts[number]!) !== number) continue;
      this.#numberOf.delete(this.#texts[number]!);
      this.#freeNumbers.push(number);
    }
  }

  /** Group of equal processes that a row is of. */
  group(id: number): number {
    return this.#groups[id]!;
  }

  /** Whether another sFlow agent tells of it, from samples. */
  isEstimate(id: number): boolean {
    return this.#isEstimate[id] === 1;
  }

  flowSources(ids: Int32Array, scratch: Scratch): TextColumn {
    const codes = scratch.int32s(ids.length);
    for (let i = 0; i < ids.length; i++) codes[i] = this.#isEstimate[ids[i]!]!;
    return { codes, dictionary: FLOW_SOURCES };
  }

  samplingRates(ids: Int32Array, scratch: Scratch): { readonly values: Int32Array } {
    const values = scratch.int32s(ids.length);
    for (let i = 0; i < ids.length; i++) values[i] = this.#samplingRates[ids[i]!]!;
    return { values };
  }

  pids(ids: Int32Array, scratch: Scratch): IntegerColumn {
    const values = scratch.int32s(ids.length), valid = scratch.bytes(ids.length);
    for (let i = 0; i < ids.length; i++) {
      const pid = this.#pids[ids[i]!]!;
      valid[i] = pid < 0 ? 0 : 1;
      values[i] = Math.max(0, pid);
    }
    return { values, valid };
  }

  userIds(ids: Int32Array, scratch: Scratch): IntegerColumn {
    const values = scratch.int32s(ids.length), valid = scratch.bytes(ids.length);
    for (let i = 0; i < ids.length; i++) {
      values[i] = this.#userIds[ids[i]!]!;
      valid[i] = this.#hasUserId[ids[i]!]!;
    }
    return { values, valid };
  }

  networkNamespaces(ids: Int32Array, scratch: Scratch): BigintColumn {
    const numbers = scratch.float64s(ids.length);
    for (let i = 0; i < ids.length; i++) numbers[i] = this.#networkNamespaces[ids[i]!]!;
    return bigintsOrNull(numbers, scratch);
  }

  /**
   * A text of each identity.
   *
   * @param place One of `TEXT`.
   * @param isWanted By row: 0 where it is to be null.
   */
  texts(place: number, ids: Int32Array, scratch: Scratch, isWanted?: Uint8Array): TextColumn {
    const codes = scratch.int32s(ids.length), stamp = ++this.#stamp, dictionary: string[] = [];
    for (let i = 0; i < ids.length; i++) {
      const number = isWanted === undefined || isWanted[i] === 1 ? this.#numbers[ids[i]! * TEXT_COUNT + place]! : NO_TEXT;
      if (number === NO_TEXT) {
        codes[i] = -1;
        continue;
      }
      if (this.#stamps[number] !== stamp) {
        this.#stamps[number] = stamp;
        this.#codes[number] = dictionary.push(this.#texts[number]!) - 1;
      }
      codes[i] = this.#codes[number]!;
    }
    return { codes, dictionary };
  }

  #number(text: string | null): number {
    if (text === null) return NO_TEXT;
    let number = this.#numberOf.get(text);
    if (number !== undefined) return number;
    number = this.#freeNumbers.pop() ?? this.#texts.length;
    this.#texts[number] = text;
    this.#numberOf.set(text, number);
    if (number >= this.#stamps.length) {
      this.#stamps = grown(this.#stamps);
      this.#codes = grown(this.#codes);
    }
    return number;
  }
}

/** Whole numbers to 2^53 as 64 bits, without a bigint for each; -1 is null, and leaves 0. */
export function bigintsOrNull(numbers: Float64Array, scratch: Scratch): BigintColumn {
  const words = scratch.words(numbers.length), valid = scratch.bytes(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i]! < 0) continue;
    valid[i] = 1;
    words[2 * i] = numbers[i]!; // modulo 2^32
    words[2 * i + 1] = numbers[i]! / 4_294_967_296;
  }
  return { values: new BigInt64Array(words.buffer, words.byteOffset, numbers.length), valid };
}

function grown(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(2 * numbers.length);
  more.set(numbers);
  return more;
}
