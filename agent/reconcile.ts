/**
 * Holds the agent's counts of connections against the kernel's own, in each network namespace: what differs was missed, or
 * counted otherwise. See docs/reference/reconciliation.md.
 */

import { monotonicNs, readKernelFile, readKernelLink } from "../ffi/libc.ts";
import type { SKYFALL_RECONCILIATION } from "../lib/sflow/skyfall.gen.ts";
import { log } from "../lib/log.ts";
import { EVENT_KIND, type TcpEvent } from "./event.ts";
import { type Counts, type Difference, NamespaceAccount } from "./namespace_account.ts";
import { ownNetworkNamespace } from "./own_traffic.ts";

/** Counters of proc(5)'s net/snmp that every event tells exactly; the order of the counts. */
export const RECONCILED = ["ActiveOpens", "PassiveOpens", "EstabResets"] as const;
export type ReconciledCounter = typeof RECONCILED[number];
const ACTIVE_OPENS = 0, PASSIVE_OPENS = 1, ESTAB_RESETS = 2;

/** `skyfall_reconciliation`: differences as sums over the namespaces, without their signs. */
export type ReconciliationTotals = { readonly [F in keyof typeof SKYFALL_RECONCILIATION.fields]: number };

export interface NamespaceDifference extends Difference {
  readonly network_namespace: number;
  readonly counter: ReconciledCounter;
}

/** How often the kernel's counts are read, at most: nearly the interval at which they are told. */
const INTERVAL_MS = 9_000;
export const NAMESPACES_MAX = 128;
/** A namespace that could not be read so often has ended, or cannot be entered any more. */
const UNREADABLE_MAX = 12;
const FILE_BYTES_MAX = 1 << 14;
/** How often an account's first counts are read until none changes meanwhile. */
const QUIET_TRIES = 10;
/** Log lines of one reading. */
const LINES_MAX = 8;
/** What a connection takes between the two moments at which it is counted, generously: the tolerance for a log line. */
const BETWEEN_COUNTS_S = 100e-6;
const TCP_ESTABLISHED = 1, TCP_SYN_SENT = 2, TCP_CLOSE_WAIT = 8;

interface Entry {
  account: NamespaceAccount;
  /** A process in the namespace; null for the agent itself. */
  pid: number | null;
  unreadable: number;
  readonly logged: number[];
}

/** Reads the kernel's counts before each walk over the open connections, which tells the agent all that had begun by then. */
export class Reconciliation {
  readonly #own: number;
  readonly #readCounts: typeof readNamespaceCounts;
  readonly #entries = new Map<number, Entry>();
  /** Differences of accounts that have ended. */
  readonly #past = RECONCILED.map(() => 0);
  #pids: ReadonlyMap<number, number> = new Map();
  #leftOut = 0;
  #nextReadNs = 0;

  constructor(own = ownNetworkNamespace(), readCounts = readNamespaceCounts) {
    this.#own = own;
    this.#readCounts = readCounts;
  }

  /** Counts what an event tells, in the namespaces that are known. */
  count(event: TcpEvent): void {
    const account = this.#entries.get(event.network_namespace)?.account;
    if (account === undefined) return;
    const { kind, state } = event, isEnd = kind === EVENT_KIND.EVENT_SOCKET_ENDED;
    // The kernel counts an attempt when it sends the SYN, which it does not where there is no port or no route.
    const hasFailed = isEnd && state === TCP_SYN_SENT && event.segs_out > 0;
    if (event.opened || hasFailed) account.count(event.active_open ? ACTIVE_OPENS : PASSIVE_OPENS, event.period_start_ktime_ns);
    if (isEnd && (state === TCP_ESTABLISHED || state === TCP_CLOSE_WAIT)) account.count(ESTAB_RESETS, event.ktime_ns);
  }

  /** Reads the kernel's counts if it is time to: before a walk over all open connections, with `walked()` after it. */
  readIfDue(): void {
    if (monotonicNs() >= this.#nextReadNs) this.read();
  }

  read(): void {
    this.#nextReadNs = monotonicNs() + INTERVAL_MS * 1e6;
    for (const [namespace, entry] of this.#entries) this.#check(namespace, entry);
    this.meet(this.#pids);
  }

  /** Begins accounts of namespaces that are new, each with a process in it, beside the agent's own. */
  meet(others: ReadonlyMap<number, number>): void {
    this.#pids = others;
    this.#leftOut = 0;
    if (!this.#entries.has(this.#own)) this.#begin(this.#own, null);
    for (const [namespace, pid] of others) if (!this.#entries.has(namespace)) this.#begin(namespace, pid);
  }

  /** Ends all accounts, as connections are left out from now on; the next walk begins others. */
  suspend(): void {
    for (const entry of this.#entries.values()) this.#close(entry, "persistent");
    this.#entries.clear();
  }

  /** What was open when the counts were read has been counted, where it was not missed. */
  walked(): void {
    let lines = 0;
    for (const [namespace, { account, logged }] of this.#entries) {
      account.complete();
      for (const [i, counter] of RECONCILED.entries()) {
        const { kernel, present, persistent } = account.difference(i);
        if (persistent === logged[i] || Math.abs(persistent) <= 1 + account.rate(i) * BETWEEN_COUNTS_S || lines === LINES_MAX) continue;
        logged[i] = persistent;
        lines++;
        const fields = { network_namespace: namespace, counter, kernel, agent: kernel - present, persistent_difference: persistent };
        log("warn", "agent", "counts differ from the kernel's", fields);
      }
    }
  }

  differences(): NamespaceDifference[] {
    return [...this.#entries].flatMap(([network_namespace, { account }]) =>
      RECONCILED.map((counter, i) => ({ network_namespace, counter, ...account.difference(i) }))
    );
  }

  totals(): ReconciliationTotals {
    const differences = this.differences();
    const sum = (counter: ReconciledCounter, of: (difference: Difference) => number) =>
      differences.reduce((total, difference) => total + (difference.counter === counter ? Math.abs(of(difference)) : 0), 0);
    const persistent = RECONCILED.map((counter, i) => this.#past[i]! + sum(counter, (difference) => difference.persistent));
    return {
      network_namespaces: this.#entries.size,
      network_namespaces_left_out: this.#leftOut,
      active_opens: sum("ActiveOpens", ({ kernel }) => kernel),
      active_opens_difference: sum("ActiveOpens", ({ present }) => present),
      active_opens_persistent_difference: persistent[ACTIVE_OPENS]!,
      passive_opens: sum("PassiveOpens", ({ kernel }) => kernel),
      passive_opens_difference: sum("PassiveOpens", ({ present }) => present),
      passive_opens_persistent_difference: persistent[PASSIVE_OPENS]!,
      estab_resets: sum("EstabResets", ({ kernel }) => kernel),
      estab_resets_difference: sum("EstabResets", ({ present }) => present),
      estab_resets_persistent_difference: persistent[ESTAB_RESETS]!,
    };
  }

  #begin(namespace: number, pid: number | null): void {
    if (this.#entries.size >= NAMESPACES_MAX) {
      this.#leftOut++;
      return;
    }
    const account = this.#open(namespace, pid);
    if (account === null) this.#leftOut++;
    else this.#entries.set(namespace, { account, pid, unreadable: 0, logged: RECONCILED.map(() => 0) });
  }

  /** An account begins where nothing changes, if there is such a moment: what is begun but not counted then would stay a difference. */
  #open(namespace: number, pid: number | null): NamespaceAccount | null {
    let before = this.#readCounts(namespace, pid);
    for (let tries = 0; before !== null; tries++) {
      const atNs = monotonicNs(), now = this.#readCounts(namespace, pid);
      if (now === null) return null;
      if (tries === QUIET_TRIES || now.every((count, i) => count === before![i])) return new NamespaceAccount(atNs, now);
      before = now;
    }
    return null;
  }

  #check(namespace: number, entry: Entry): void {
    const atNs = monotonicNs(), knownPid = this.#pids.get(namespace);
    let counts = this.#readCounts(namespace, entry.pid);
    if (counts === null && knownPid !== undefined) {
      entry.pid = knownPid;
      counts = this.#readCounts(namespace, knownPid);
    }
    entry.unreadable = counts === null ? entry.unreadable + 1 : 0;
    if (counts === null ? entry.unreadable < UNREADABLE_MAX : entry.account.check(atNs, counts)) return;
    this.#close(entry, "present"); // nothing goes on there any more: what differs was missed
    this.#entries.delete(namespace);
  }

  #close({ account }: Entry, difference: "present" | "persistent"): void {
    for (const i of RECONCILED.keys()) this.#past[i]! += Math.abs(account.difference(i)[difference]);
  }
}

/** Counts of the network namespace `inode` by way of a process in it; null where that is gone, or in another one by now. */
export function readNamespaceCounts(inode: number, pid: number | null): Counts | null {
  const process = pid ?? "self";
  if (pid !== null && readKernelLink(`/proc/${process}/ns/net`) !== `net:[${inode}]`) return null;
  const bytes = readKernelFile(`/proc/${process}/net/snmp`, FILE_BYTES_MAX);
  return bytes === null || bytes.length === 0 ? null : parseSnmp(new TextDecoder().decode(bytes));
}

/**
 * Reads the counts of proc(5)'s net/snmp: a line of names, and one of values, for each protocol.
 *
 * @throws {SyntaxError} If one is not there.
 */
export function parseSnmp(text: string): Counts {
  const [names, values] = text.split("\n").filter((line) => line.startsWith("Tcp: ")).map((line) => line.split(" "));
  return RECONCILED.map((counter) => {
    const value = values?.[names!.indexOf(counter)];
    if (value === undefined || !/^\d+$/.test(value)) throw new SyntaxError(`Cannot read net/snmp: ${counter} is ${value}, needed a number`);
    return Number(value);
  });
}
