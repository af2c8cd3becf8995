/** What is put into the topic, and whether the lake has each row of it once. */

import { ask } from "../../jobs/testdata/topic.ts";
import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { agentLoss } from "../../lib/testdata/agent_loss.ts";
import { flowBatch, START_US } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";
import type { TopicProducer } from "../../lib/topic/topic.ts";

const ROWS_MAX = 60;
const MINUTE_US = 60_000_000;
/** Messages begin somewhere in so many minutes, so that a commit has files of several hours. */
const MINUTES = 240;
/** One in so many messages does not decode. */
const BROKEN_ONE_IN = 5;
/** One in so many tells of losses, of an agent among so many. */
const LOSS_ONE_IN = 2, AGENTS = 50;

type Random = (below: number) => number;

/** Rows that the lake should have and has. */
export interface Account {
  readonly messages: number;
  readonly rows: number;
  readonly lost: number;
  readonly doubled: number;
}

export class Feed implements AsyncDisposable {
  readonly #producer: TopicProducer;
  readonly #random: Random;
  /** Rows by message, by partition. */
  readonly #rows: number[][];

  private constructor(producer: TopicProducer, random: Random) {
    this.#producer = producer;
    this.#random = random;
    this.#rows = Array.from({ length: producer.partitionCount }, () => []);
  }

  static async open(topicUrl: string, random: Random): Promise<Feed> {
    return new Feed(await openProducer(topicUrl), random);
  }

  /** Publishes some messages, each to any partition. */
  async publish(messages: number): Promise<void> {
    for (let i = 0; i < messages; i++) {
      const partition = this.#random(this.#rows.length), isBroken = this.#random(BROKEN_ONE_IN) === 0;
      const rows = isBroken ? 0 : 1 + this.#random(ROWS_MAX);
      const value = isBroken ? new TextEncoder().encode("broken") : this.#message(rows);
      await this.#producer.publish([{ partition, value }]);
      this.#rows[partition]!.push(rows);
    }
  }

  #message(rows: number): Uint8Array {
    const batch = flowBatch(rows, this.#random(1 << 30), START_US + this.#random(MINUTES) * MINUTE_US);
    if (this.#random(LOSS_ONE_IN) > 0) return encodeFlowBatch(batch);
    const agentLosses = [agentLoss(`10.0.0.${this.#random(AGENTS)}`, { datagrams_lost: 1 + this.#random(100) })];
    return encodeFlowBatch({ ...batch, agentLosses });
  }

  /** Compares with the lake, which must have taken in everything. */
  async account(lake: string): Promise<Account> {
    const found = await ask(
      lake,
      `select src_partition, src_offset, count(*)::integer as rows, count(distinct src_index)::integer as places
      from flow group by all`,
    );
    const held = new Map(found.map((row) => [`${row["src_partition"]}:${row["src_offset"]}`, row]));
    let messages = 0, rows = 0, lost = 0, doubled = 0;
    for (const [partition, expected] of this.#rows.entries()) {
      for (const [offset, count] of expected.entries()) {
        const row = held.get(`${partition}:${offset}`), places = Number(row?.["places"] ?? 0);
        messages++;
        rows += count;
        lost += Math.max(0, count - places);
        doubled += Number(row?.["rows"] ?? 0) - Math.min(places, count);
      }
    }
    return { messages, rows, lost, doubled };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer[Symbol.asyncDispose]();
  }
}
