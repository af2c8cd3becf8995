/** Who reports: hosts and processes, each descriptor read once however often it comes. */

import { formatAddress } from "../lib/ip_address.ts";
import { SKYFALL_HOST, SKYFALL_PROCESS } from "../lib/sflow/skyfall.gen.ts";
import { readXdrStruct } from "./xdr_read.ts";

/** Host of an observer; null where it did not tell. */
export interface HostIdentity {
  readonly address: string;
  readonly hostId: string | null;
  readonly bootId: string | null;
  readonly hostName: string | null;
}

/** A process as its agent describes it, and the group of equal processes that a row is of. */
export interface ProcessIdentity {
  /** Same host, service, executable, user, control group and network namespace: same group. */
  readonly group: number;
  readonly host: HostIdentity;
  readonly flowSource: "skyfall" | "sflow";
  readonly samplingRate: number;
  readonly pid: number | null;
  readonly userId: number | null;
  readonly networkNamespace: number | null;
  readonly serviceName: string | null;
  readonly executableName: string | null;
  readonly executablePath: string | null;
  readonly commandLine: string | null;
  readonly cgroupPath: string | null;
}

/** Identities at a time; those that no row refers to are forgotten when more come. The memory is taken as it is used. */
const IDENTITIES_MAX = 1 << 18;
const DESCRIPTOR_BYTES_MAX = 128 * 1024 * 1024;
/** New descriptors of one datagram: above what 1,400 bytes hold, and little enough that no datagram takes long. */
const NEW_PER_DATAGRAM_MAX = 20, NEW_RATES_PER_DATAGRAM_MAX = 4;
/** Descriptors of one datagram, new or not, 255 processes being what indexes allow; one that is refused counts for many. */
const PER_DATAGRAM_MAX = 260, REFUSED_COUNTS = 32;
const UNKNOWN_USER = 0xffff_ffff;

/** All descriptors that one worker has seen. Identity ids are indexes into it. */
export class IdentityTable {
  readonly #descriptors: ByteInterner;
  /** Null where the descriptor does not decode. */
  readonly #hosts: (HostIdentity | null | undefined)[] = [];
  readonly #processes: (ProcessIdentity | null | undefined)[] = [];
  /** Host id of a process; of a host its own. */
  readonly #hostIds: number[] = [];
  readonly #groups = new Map<string, number>();
  #nextGroup = 0;
  #newMax = NEW_PER_DATAGRAM_MAX;
  #left = PER_DATAGRAM_MAX;
  #newRatesLeft = NEW_RATES_PER_DATAGRAM_MAX;
  /** Of the datagram's latest standard sample; 0 where there was none. */
  #observerRate = 0;
  #observerId = -1;

  constructor(identitiesMax = IDENTITIES_MAX) {
    this.#descriptors = new ByteInterner(identitiesMax, DESCRIPTOR_BYTES_MAX / IDENTITIES_MAX * identitiesMax);
  }

  /** Whether the next descriptors may find no room. */
  get isFull(): boolean {
    return this.#descriptors.isFull;
  }

  /** Hosts and processes that are known. */
  get count(): number {
    return this.#descriptors.count;
  }

  /** Forgets everything; ids given out before are void. */
  clear(): void {
    this.#descriptors.clear();
    this.#hosts.length = this.#processes.length = this.#hostIds.length = 0;
    this.#groups.clear();
  }

  /** Forgets all but the identities given, and their hosts; returns the new id by the old one. */
  keep(ids: Iterable<number>): ReadonlyMap<number, number> {
    const kept = new Set<number>();
    for (const id of ids) kept.add(id).add(this.#hostIds[id]!);
    const newIds = new Map<number, number>();
    const groups = new Set<number>();
    for (const id of [...kept].sort((a, b) => a - b)) { // a host comes before its processes
      const to = newIds.size, hostId = this.#hostIds[id]!;
      newIds.set(id, to);
      this.#descriptors.move(id, to, hostId === id ? null : PROCESS_SALT + newIds.get(hostId)!);
      this.#hosts[to] = this.#hosts[id];
      this.#processes[to] = this.#processes[id];
      this.#hostIds[to] = newIds.get(hostId)!;
      groups.add(this.#processes[id]!.group);
    }
    this.#descriptors.cut(newIds.size);
    this.#hosts.length = this.#processes.length = this.#hostIds.length = newIds.size;
    for (const [key, group] of this.#groups) if (!groups.has(group)) this.#groups.delete(key);
    return newIds;
  }

  /** Lets the next datagram bring new descriptors. There must be room: `isFull` is false. */
  beginDatagram(): void {
    this.#newMax = this.#descriptors.count + NEW_PER_DATAGRAM_MAX;
    this.#left = PER_DATAGRAM_MAX;
    this.#newRatesLeft = NEW_RATES_PER_DATAGRAM_MAX;
    this.#observerRate = 0;
  }

  get(id: number): ProcessIdentity {
    return this.#processes[id]!;
  }

  /**
   * Id of the host with this descriptor body (`skyfall_host`) and agent address, or -1 where it does not decode or the datagram
   * brings too many. With no descriptor (`bytes` 0) the address alone is the host, and never refused.
   */
  host(view: DataView, at: number, bytes: number, addressAt: number, addressBytes: number): number {
    if (bytes !== 0 && this.#left-- <= 0) return -1;
    const newMax = bytes === 0 ? IDENTITIES_MAX : this.#newMax;
    const id = this.#descriptors.intern(view, at, bytes, view, addressAt, addressBytes, addressBytes, newMax);
    if (id < 0) return this.#refuse();
    let host = this.#hosts[id];
    if (host === undefined) {
      host = this.#hosts[id] = describeHost(view, at, bytes, addressAt, addressBytes);
      this.#hostIds[id] = id;
      this.#processes[id] = host === null ? null : this.#grouped({ ...NO_PROCESS, host });
    }
    return host === null ? -1 : id;
  }

  /** Id of the process with this descriptor body (`skyfall_process`), its index left out, on a host; -1 as above. */
  process(view: DataView, at: number, bytes: number, hostId: number): number {
    const host = this.#hosts[hostId] ?? null;
    if (host === null || bytes < INDEX_BYTES || this.#left-- <= 0) return -1;
    const id = this.#descriptors.intern(view, at + INDEX_BYTES, bytes - INDEX_BYTES, view, 0, 0, PROCESS_SALT + hostId, this.#newMax);
    if (id < 0) return this.#refuse();
    let process = this.#processes[id];
    if (process === undefined) {
      const described = describeProcess(view, at, bytes, host);
      this.#hostIds[id] = hostId;
      process = this.#processes[id] = described === null ? null : this.#grouped(described);
    }
    return process === null ? -1 : id;
  }

  /** Id of another sFlow agent, the datagram's, by its address and one of its sampling rates, 1 to 2^31 - 1; -1 as above. */
  observer(view: DataView, addressAt: number, addressBytes: number, samplingRate: number): number {
    if (samplingRate === this.#observerRate) return this.#observerId;
    if (this.#left-- <= 0) return -1;
    this.#observerRate = samplingRate;
    return this.#observerId = this.#internObserver(view, addressAt, addressBytes, samplingRate);
  }

  #internObserver(view: DataView, addressAt: number, addressBytes: number, samplingRate: number): number {
    const newMax = this.#newRatesLeft > 0 ? this.#newMax : 0;
    const id = this.#descriptors.intern(view, addressAt, addressBytes, view, 0, 0, -samplingRate, newMax);
    if (id < 0) return this.#refuse();
    if (this.#processes[id] === undefined) {
      this.#newRatesLeft--;
      const host = addressAlone(view, addressAt, addressBytes);
      this.#hosts[id] = host;
      this.#hostIds[id] = id;
      this.#processes[id] = this.#grouped({ ...NO_PROCESS, host, flowSource: "sflow", samplingRate });
    }
    return id;
  }

  #refuse(): number {
    this.#left -= REFUSED_COUNTS;
    return -1;
  }

  #grouped(process: Omit<ProcessIdentity, "group">): ProcessIdentity {
    const { samplingRate, flowSource, host, serviceName, executableName, userId, cgroupPath, networkNamespace } = process;
    const key = JSON.stringify([flowSource, samplingRate, host, serviceName, executableName, userId, cgroupPath, networkNamespace]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = this.#nextGroup++ >>> 0;
      this.#groups.set(key, group);
    }
    return { ...process, group };
  }
}

const INDEX_BYTES = SKYFALL_PROCESS.fields.index.size;
/** Keeps process descriptors apart from host descriptors of the same bytes; other agents have salts below 0. */
const PROCESS_SALT = 0x100;

const NO_PROCESS = {
  flowSource: "skyfall",
  samplingRate: 1,
  pid: null,
  userId: null,
  networkNamespace: null,
  serviceName: null,
  executableName: null,
  executablePath: null,
  commandLine: null,
  cgroupPath: null,
} as const;

function describeHost(view: DataView, at: number, bytes: number, addressAt: number, addressBytes: number): HostIdentity | null {
  const alone = addressAlone(view, addressAt, addressBytes);
  if (bytes === 0) return alone;
  const host = readXdrStruct(SKYFALL_HOST.fields, view, at, bytes);
  return host === null
    ? null
    : { ...alone, hostId: idText(host.host_id), bootId: idText(host.boot_id), hostName: textOrNull(host.host_name) };
}

function addressAlone(view: DataView, at: number, bytes: number): HostIdentity {
  const raw = new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice();
  const address = formatAddress(bytes === 4 ? Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...raw]) : raw);
  return { address, hostId: null, bootId: null, hostName: null };
}

function describeProcess(view: DataView, at: number, bytes: number, host: HostIdentity): Omit<ProcessIdentity, "group"> | null {
  const process = readXdrStruct(SKYFALL_PROCESS.fields, view, at, bytes);
  if (process === null) return null;
  return {
    host,
    flowSource: "skyfall",
    samplingRate: 1,
    pid: process.pid > 0x7fff_ffff ? null : process.pid,
    userId: process.user_id === UNKNOWN_USER ? null : process.user_id | 0,
    networkNamespace: process.network_namespace,
    serviceName: textOrNull(process.service_name),
    executableName: textOrNull(process.executable_name),
    executablePath: textOrNull(process.executable_path),
    commandLine: textOrNull(process.command_line),
    cgroupPath: textOrNull(process.cgroup_path),
  };
}

function textOrNull(text: string): string | null {
  return text === "" ? null : text;
}

function idText(id: Uint8Array): string | null {
  return id.every((byte) => byte === 0) ? null : id.toHex();
}

/** Gives equal byte strings equal numbers, comparing all of them; nothing is allocated for one that is known. */
class ByteInterner {
  readonly #entriesMax: number;
  readonly #mask: number;
  /** Slot -> entry + 1. */
  readonly #slots: Int32Array;
  readonly #hashes: Int32Array;
  readonly #starts: Int32Array;
  /** Bytes of the first of the two pieces. */
  readonly #splits: Int32Array;
  readonly #salts: Int32Array;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  #entries = 0;
  #used = 0;

  constructor(entriesMax: number, bytesMax: number) {
    const slots = entriesMax * 2;
    this.#entriesMax = entriesMax;
    this.#mask = slots - 1;
    this.#slots = new Int32Array(slots);
    this.#hashes = new Int32Array(entriesMax);
    this.#starts = new Int32Array(entriesMax + 1);
    this.#splits = new Int32Array(entriesMax);
    this.#salts = new Int32Array(entriesMax);
    this.#bytes = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get count(): number {
    return this.#entries;
  }

  get isFull(): boolean {
    return this.#entries > this.#entriesMax * 0.9 || this.#used > this.#bytes.length * 0.9;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#entries = this.#used = 0;
  }

  /** Moves an entry to the number `to`, at most its own, under another salt or its own; entries move in ascending order, then `cut()`. */
  move(entry: number, to: number, salt: number | null): void {
    const start = this.#starts[entry]!, bytes = this.#starts[entry + 1]! - start, at = this.#starts[to]!;
    this.#salts[to] = salt ?? this.#salts[entry]!;
    if (at !== start) this.#bytes.copyWithin(at, start, start + bytes);
    this.#splits[to] = this.#splits[entry]!;
    this.#starts[to + 1] = at + bytes;
  }

  /** Forgets the entries from `count`, and finds the others by what they are now. */
  cut(count: number): void {
    this.#entries = count;
    this.#used = this.#starts[count]!;
    this.#slots.fill(0);
    for (let entry = 0; entry < count; entry++) {
      const start = this.#starts[entry]!, first = this.#splits[entry]!, second = this.#starts[entry + 1]! - start - first;
      const hash = hashBytes(this.#view, start, first, this.#seed ^ this.#salts[entry]!);
      this.#hashes[entry] = hashBytes(this.#view, start + first, second, hash);
      let slot = this.#hashes[entry]! & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = entry + 1;
    }
  }

  /** Number of the two pieces of bytes in a row, under a salt; -1 where it would be a new one of `newMax` or above, or there is no room. */
  intern(a: DataView, aAt: number, aBytes: number, b: DataView, bAt: number, bBytes: number, salt: number, newMax: number): number {
    const hash = hashBytes(b, bAt, bBytes, hashBytes(a, aAt, aBytes, this.#seed ^ salt));
    let slot = hash & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (this.#hashes[entry] !== hash || this.#salts[entry] !== salt) continue;
      const start = this.#starts[entry]!;
      if (this.#starts[entry + 1]! - start !== aBytes + bBytes) continue;
      if (this.#equal(start, a, aAt, aBytes) && this.#equal(start + aBytes, b, bAt, bBytes)) return entry;
    }
    if (this.#entries >= Math.min(newMax, this.#entriesMax) || this.#used + aBytes + bBytes > this.#bytes.length) return -1;
    const entry = this.#entries++;
    this.#slots[slot] = entry + 1;
    this.#hashes[entry] = hash;
    this.#salts[entry] = salt;
    this.#starts[entry] = this.#used;
    this.#splits[entry] = aBytes;
    this.#append(a, aAt, aBytes);
    this.#append(b, bAt, bBytes);
    this.#starts[entry + 1] = this.#used;
    return entry;
  }

  #equal(start: number, view: DataView, at: number, bytes: number): boolean {
    const words = bytes & ~3;
    for (let i = 0; i < words; i += 4) if (this.#view.getInt32(start + i) !== view.getInt32(at + i)) return false;
    for (let i = words; i < bytes; i++) if (this.#bytes[start + i] !== view.getUint8(at + i)) return false;
    return true;
  }

  #append(view: DataView, at: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) this.#bytes[this.#used + i] = view.getUint8(at + i);
    this.#used += bytes;
  }
}

function hashBytes(view: DataView, at: number, bytes: number, seed: number): number {
  let hash = seed;
  const words = bytes & ~3;
  for (let i = 0; i < words; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(at + i), 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  for (let i = words; i < bytes; i++) hash = Math.imul(hash ^ view.getUint8(at + i), 0x85eb_ca6b);
  return hash ^ hash >>> 13;
}
