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

/** Identities in use; beyond that the tables are emptied, after every row was flushed. */
const IDENTITIES_MAX = 65_536;
const DESCRIPTOR_BYTES_MAX = 32 * 1024 * 1024;
const UNKNOWN_USER = 0xffff_ffff;

/** All descriptors that one worker has seen. Identity ids are indexes into it. */
export class IdentityTable {
  readonly #descriptors = new ByteInterner(IDENTITIES_MAX, DESCRIPTOR_BYTES_MAX);
  readonly #hosts: (HostIdentity | undefined)[] = [];
  readonly #processes: (ProcessIdentity | undefined)[] = [];
  readonly #groups = new Map<string, number>();

  /** Whether the next descriptors may find no room. */
  get isFull(): boolean {
    return this.#descriptors.isFull;
  }

  /** Forgets everything; ids given out before are void. */
  clear(): void {
    this.#descriptors.clear();
    this.#hosts.length = this.#processes.length = 0;
    this.#groups.clear();
  }

  get(id: number): ProcessIdentity {
    return this.#processes[id]!;
  }

  /**
   * Id of the host with this descriptor body (`skyfall_host`) and agent address, or -1 where it does not decode or there is
   * no room. With no descriptor (`bytes` 0) the address alone is the host.
   */
  host(view: DataView, at: number, bytes: number, addressAt: number, addressBytes: number): number {
    const id = this.#descriptors.intern(view, at, bytes, view, addressAt, addressBytes, addressBytes);
    if (id < 0) return -1;
    this.#hosts[id] ??= describeHost(view, at, bytes, addressAt, addressBytes);
    if (this.#hosts[id] === undefined) return -1;
    this.#processes[id] ??= this.#grouped({ ...NO_PROCESS, host: this.#hosts[id] }, id);
    return id;
  }

  /** Id of the process with this descriptor body (`skyfall_process`), its index left out, on a host; -1 as above. */
  process(view: DataView, at: number, bytes: number, hostId: number): number {
    const host = this.#hosts[hostId];
    if (host === undefined || bytes < INDEX_BYTES) return -1;
    const id = this.#descriptors.intern(view, at + INDEX_BYTES, bytes - INDEX_BYTES, view, 0, 0, PROCESS_SALT + hostId);
    if (id < 0) return -1;
    if (this.#processes[id] === undefined) {
      const process = describeProcess(view, at, bytes, host);
      if (process === null) return -1;
      this.#processes[id] = this.#grouped(process, hostId);
    }
    return id;
  }

  #grouped(process: Omit<ProcessIdentity, "group">, hostId: number): ProcessIdentity {
    const { serviceName, executableName, userId, cgroupPath, networkNamespace } = process;
    const key = JSON.stringify([hostId, serviceName, executableName, userId, cgroupPath, networkNamespace]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = this.#groups.size;
      this.#groups.set(key, group);
    }
    return { ...process, group };
  }
}

const INDEX_BYTES = SKYFALL_PROCESS.fields.index.size;
/** Keeps process descriptors apart from host descriptors of the same bytes. */
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

function describeHost(view: DataView, at: number, bytes: number, addressAt: number, addressBytes: number): HostIdentity | undefined {
  const raw = new Uint8Array(view.buffer, view.byteOffset + addressAt, addressBytes).slice();
  const address = formatAddress(addressBytes === 4 ? Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...raw]) : raw);
  if (bytes === 0) return { address, hostId: null, bootId: null, hostName: null };
  const host = readXdrStruct(SKYFALL_HOST.fields, view, at, bytes);
  return host === null
    ? undefined
    : { address, hostId: idText(host.host_id), bootId: idText(host.boot_id), hostName: textOrNull(host.host_name) };
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
    this.#salts = new Int32Array(entriesMax);
    this.#bytes = new Uint8Array(bytesMax);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get isFull(): boolean {
    return this.#entries > this.#entriesMax * 0.9 || this.#used > this.#bytes.length * 0.9;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#entries = this.#used = 0;
  }

  /** Number of the two pieces of bytes in a row, under a salt; -1 where there is no room. */
  intern(a: DataView, aAt: number, aBytes: number, b: DataView, bAt: number, bBytes: number, salt: number): number {
    const hash = hashBytes(b, bAt, bBytes, hashBytes(a, aAt, aBytes, this.#seed ^ salt));
    let slot = hash & this.#mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (this.#hashes[entry] !== hash || this.#salts[entry] !== salt) continue;
      const start = this.#starts[entry]!;
      if (this.#starts[entry + 1]! - start !== aBytes + bBytes) continue;
      if (this.#equal(start, a, aAt, aBytes) && this.#equal(start + aBytes, b, bAt, bBytes)) return entry;
    }
    if (this.#entries >= this.#entriesMax || this.#used + aBytes + bBytes > this.#bytes.length) return -1;
    const entry = this.#entries++;
    this.#slots[slot] = entry + 1;
    this.#hashes[entry] = hash;
    this.#salts[entry] = salt;
    this.#starts[entry] = this.#used;
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
