/** The topic: an append-only, partitioned log of messages that the collector writes and the jobs read. */

/** Bytes to append to one partition. */
export interface TopicRecord {
  readonly partition: number;
  readonly value: Uint8Array;
}

/** A stored record; offsets of a partition start at 0 and grow by 1. */
export interface TopicMessage {
  readonly partition: number;
  readonly offset: bigint;
  readonly value: Uint8Array;
}

/** Offsets that can be read: from `begin`, to before `end`. */
export interface OffsetRange {
  readonly begin: bigint;
  readonly end: bigint;
}

export interface TopicProducer extends AsyncDisposable {
  readonly partitionCount: number;
  /**
   * Appends the records, all or none, in order. Resolves when they are on stable storage.
   *
   * @throws {TopicError} If they cannot be stored.
   */
  publish(records: readonly TopicRecord[]): Promise<void>;
}

export interface TopicConsumer extends AsyncDisposable {
  /** Name that rows carry as `src_topic`, and that committed offsets belong to. */
  readonly topicName: string;
  readonly partitionCount: number;
  /** @throws {TopicError} If the topic cannot be read. */
  offsets(partition: number): Promise<OffsetRange>;
  /**
   * Reads on from `offset`, in order, up to `maxBytes` of values but at least one message where there is one.
   *
   * @throws {TopicError} If the topic cannot be read, or `offset` is no longer or not yet there.
   */
  read(partition: number, offset: bigint, maxBytes: number): Promise<readonly TopicMessage[]>;
}

/** A topic that cannot be opened, read or written; the message names the topic and what to do. */
export class TopicError extends Error {
  override readonly name = "TopicError";
}
