/** Who reports: hosts and processes, each descriptor read once however often it comes. */

import { formatAddress } from "../lib/ip_address.ts";
import { SKYFALL_HOST, SKYFALL_PROCESS } from "../lib/sflow/skyfall.gen.ts";
import { ByteInterner } from "./byte_interner.ts";
import { IdentityColumns } from "./identity_columns.ts";
import type { HostIdentity, ProcessIdentity } from "./process_identity.ts";
import { readXdrStruct } from "./xdr_read.ts";

/** Identities at a time; those that no row refers to are forgotten when more come. The memory is taken as it is used. */
const IDENTITIES_MAX = 1 << 18;
const DESCRIPTOR_BYTES_MAX = 128 * 1024 * 1024;
/** New descriptors of one datagram: above what 1,400 bytes hold beside a flow, and little enough that no datagram takes long. */
const NEW_PER_DATAGRAM_MAX = 14, NEW_RATES_PER_DATAGRAM_MAX = 4;
/** Descriptors of one datagram, new or not, 255 processes being what indexes allow; one that is refused counts for many. */
const PER_DATAGRAM_MAX = 260, REFUSED_COUNTS = 32;
const UNKNOWN_USER = 0xffff_ffff;

/** All descriptors that one worker has seen. Identity ids are indexes into it. */
export class IdentityTable {
  readonly columns: IdentityColumns;
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
    this.columns = new IdentityColumns(identitiesMax);
    this.#descriptors = new ByteInterner(identitiesMax, DESCRIPTOR_BYTES_MAX / IDENTITIES_MAX * identitiesMax);
  }

  /** Memory that is read at random, and large. */
  get buffers(): ArrayBuffer[] {
    return this.#descriptors.buffers;
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
    this.columns.clear();
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
    this.columns.keep(newIds);
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

  /** Reads the descriptor of an id that is about to be guessed, if there is such an id. */
  touch(id: number): void {
    this.#descriptors.touch(id);
  }

  get(id: number): ProcessIdentity {
    return this.#processes[id]!;
  }

  /**
   * Id of the host with this descriptor body (`skyfall_host`) and agent address, or -1 where it does not decode or the datagram
   * brings too many. With no descriptor (`bytes` 0) the address alone is the host, and never refused.
   *
   * @param guess Id that it may well be.
   */
  host(view: DataView, at: number, bytes: number, addressAt: number, addressBytes: number, guess = -1): number {
    if (bytes !== 0 && this.#left-- <= 0) return -1;
    const newMax = bytes === 0 ? IDENTITIES_MAX : this.#newMax;
    const id = this.#descriptors.intern(view, at, bytes, view, addressAt, addressBytes, addressBytes, newMax, guess);
    if (id < 0) return this.#refuse();
    let host = this.#hosts[id];
    if (host === undefined) {
      host = this.#hosts[id] = describeHost(view, at, bytes, addressAt, addressBytes);
      this.#hostIds[id] = id;
      this.#processes[id] = host === null ? null : this.#grouped(id, { ...NO_PROCESS, host });
    }
    return host === null ? -1 : id;
  }

  /** Id of the process with this descriptor body (`skyfall_process`), its index left out, on a host; -1 as above. */
  process(view: DataView, at: number, bytes: number, hostId: number, guess = -1): number {
    const host = this.#hosts[hostId] ?? null;
    if (host === null || bytes < INDEX_BYTES || this.#left-- <= 0) return -1;
    const id = this.#descriptors.intern(
      view,
      at + INDEX_BYTES,
      bytes - INDEX_BYTES,
      view,
      0,
      0,
      PROCESS_SALT + hostId,
      this.#newMax,
      guess,
    );
    if (id < 0) return this.#refuse();
    let process = this.#processes[id];
    if (process === undefined) {
      const described = describeProcess(view, at, bytes, host);
      this.#hostIds[id] = hostId;
      process = this.#processes[id] = described === null ? null : this.#grouped(id, described);
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
    const id = this.#descriptors.intern(view, addressAt, addressBytes, view, 0, 0, -samplingRate, newMax, -1);
    if (id < 0) return this.#refuse();
    if (this.#processes[id] === undefined) {
      this.#newRatesLeft--;
      const host = addressAlone(view, addressAt, addressBytes);
      this.#hosts[id] = host;
      this.#hostIds[id] = id;
      this.#processes[id] = this.#grouped(id, { ...NO_PROCESS, host, flowSource: "sflow", samplingRate });
    }
    return id;
  }

  #refuse(): number {
    this.#left -= REFUSED_COUNTS;
    return -1;
  }

  #grouped(id: number, process: Omit<ProcessIdentity, "group">): ProcessIdentity {
    const key = this.columns.set(id, process);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = this.#nextGroup++ >>> 0;
      this.#groups.set(key, group);
    }
    this.columns.setGroup(id, group);
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
