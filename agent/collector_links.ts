/** The ways to all collectors: each lane has its own, at every agent the same, and the next one while that is gone. */

import type { SharedKey } from "../lib/sflow/authentication.ts";
import { type CollectorAddress, formatCollectorAddress } from "./collector_address.ts";
import type { Datagram } from "./encode.ts";
import type { OwnEnd } from "./own_traffic.ts";
import { CollectorLink } from "./send.ts";

/** Datagrams sent in a row before the collectors get a moment to read them. */
const BURST_DATAGRAMS = 64;
const BURST_PAUSE_MS = 1;
/** `::ffff:0.0.0.0`: not known yet. */
const NO_ADDRESS = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);

export interface LinkCounts {
  readonly sentDatagrams: number;
  /** Datagrams that the host could not send, or for which there was no collector. */
  readonly lostDatagrams: number;
  /** Flow records in them. */
  readonly lostFlows: number;
  /** Datagrams that found nobody listening. */
  readonly refusals: number;
  /** Look-ups of a collector's name, or connections to it, that failed. */
  readonly resolveFailures: number;
  /** Times that a collector said that it is about to stop. */
  readonly leaves: number;
  /** Datagrams from collectors that said so in vain, or anything else. */
  readonly ignoredAnswers: number;
}

/** What each link counts. */
type LinkOwnCounts = Pick<LinkCounts, "refusals" | "resolveFailures" | "leaves" | "ignoredAnswers">;
const NO_COUNTS: LinkOwnCounts = { refusals: 0, resolveFailures: 0, leaves: 0, ignoredAnswers: 0 };

export class CollectorLinks implements Disposable {
  #links: readonly CollectorLink[];
  readonly #key: SharedKey | null;
  /** By sub-agent, the links in the order in which it takes them. */
  readonly #ranks = new Map<number, readonly CollectorLink[]>();
  /** By sub-agent, the flow records of datagrams that were lost. */
  readonly #unsent = new Map<number, number>();
  #counts = { sentDatagrams: 0, lostDatagrams: 0, lostFlows: 0 };
  /** Of links that are no longer there. */
  #past = NO_COUNTS;

  /** Inert: collectors are looked for by `find()`. `key` as of a link. */
  constructor(collectors: readonly CollectorAddress[], key: SharedKey | null) {
    this.#key = key;
    this.#links = collectors.map((collector) => new CollectorLink(collector, key));
  }

  /** The address that the collectors see: 16 bytes; zero as long as there is none. */
  get localAddress(): Uint8Array {
    return this.#links.find(({ localAddress }) => localAddress !== null)?.localAddress ?? NO_ADDRESS;
  }

  /** What the datagrams leave by, and where they go. */
  get ownEnds(): readonly OwnEnd[] {
    return this.#links.flatMap(({ ownEnd }) => ownEnd === null ? [] : [ownEnd]);
  }

  get counts(): LinkCounts {
    return { ...this.#counts, ...this.#links.reduce(sumOf, this.#past) };
  }

  /** Flow records in datagrams of a sub-agent that could not be sent. */
  unsentOf(subAgent: number): number {
    return this.#unsent.get(subAgent) ?? 0;
  }

  /** Sends to these collectors from now on. */
  redirect(collectors: readonly CollectorAddress[]): void {
    const before = new Map(this.#links.map((link) => [link.name, link]));
    this.#links = collectors.map((collector) => {
      const link = before.get(formatCollectorAddress(collector));
      before.delete(formatCollectorAddress(collector));
      return link ?? new CollectorLink(collector, this.#key);
    });
    for (const link of before.values()) {
      this.#past = sumOf(this.#past, link);
      link[Symbol.dispose]();
    }
    this.#ranks.clear();
  }

  /** Whether it is time to look for a collector. */
  isDue(nowMs: number): boolean {
    return this.#links.some((link) => link.isDue(nowMs));
  }

  /** Looks for those collectors that it is time to look for. Where that fails, that is logged, and tried again later. */
  async find(nowMs: number): Promise<void> {
    await Promise.all(this.#links.map((link) => link.find(nowMs)));
  }

  /** Asks collectors that refused datagrams whether they are back, with a datagram that nobody misses. */
  probe(nowMs: number, makeProbe: () => Datagram): void {
    if (this.#links.length === 1) return; // its datagrams go there anyway
    for (const link of this.#links) if (link.isProbeDue(nowMs)) link.probe(nowMs, makeProbe().bytes);
  }

  /**
   * Hears what the collectors said, and sends in order, with a pause after each burst. Does not wait for a collector that has to
   * be found first.
   */
  async send(datagrams: Iterable<Datagram>): Promise<void> {
    for (const link of this.#links) link.hear(this.#links.length === 1);
    let sent = 0;
    for (const datagram of datagrams) {
      if (sent > 0 && sent % BURST_DATAGRAMS === 0) await new Promise((resolve) => setTimeout(resolve, BURST_PAUSE_MS));
      sent++;
      if (await this.#sendOne(datagram)) {
        this.#counts.sentDatagrams++;
      } else {
        this.#counts.lostDatagrams++;
        this.#counts.lostFlows += datagram.flowCount;
        this.#unsent.set(datagram.subAgent, this.unsentOf(datagram.subAgent) + datagram.flowCount);
      }
    }
  }

  /** By the first way that is open; where none is, by the one that was shut first, as who has left may be back. */
  async #sendOne({ bytes, subAgent }: Datagram): Promise<boolean> {
    const ranked = this.#ranked(subAgent);
    if (ranked.length > 1) {
      for (const link of ranked) if (link.isOpen && await link.send(bytes, false)) return true;
    }
    return await ranked.reduce((first, link) => link.shutMs < first.shutMs ? link : first).send(bytes, true);
  }

  #ranked(subAgent: number): readonly CollectorLink[] {
    const known = this.#ranks.get(subAgent);
    if (known !== undefined) return known;
    const ranked = this.#links.map((link) => ({ link, score: score(link.name, subAgent) })).sort((a, b) => b.score - a.score);
    const links = ranked.map(({ link }) => link);
    this.#ranks.set(subAgent, links);
    return links;
  }

  [Symbol.dispose](): void {
    for (const link of this.#links) link[Symbol.dispose]();
  }
}

function sumOf(a: LinkOwnCounts, b: LinkOwnCounts): LinkOwnCounts {
  return {
    refusals: a.refusals + b.refusals,
    resolveFailures: a.resolveFailures + b.resolveFailures,
    leaves: a.leaves + b.leaves,
    ignoredAnswers: a.ignoredAnswers + b.ignoredAnswers,
  };
}

/**
 * Of all collectors a sub-agent takes the one with the greatest score (rendezvous hashing): where one is added or goes, only
 * its own lanes move.
 */
function score(collector: string, subAgent: number): number {
  let hash = 0x811c_9dc5 ^ subAgent; // FNV-1a
  for (const byte of new TextEncoder().encode(collector.toLowerCase())) hash = Math.imul(hash ^ byte, 0x0100_0193);
  for (const factor of [0x85eb_ca6b, 0xc2b2_ae35]) hash = Math.imul(hash ^ hash >>> 15, factor);
  return (hash ^ hash >>> 16) >>> 0;
}
