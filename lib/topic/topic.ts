/** The topic: an append-only, partitioned log of messages that the collector writes and the jobs read. */

/** Bytes that a message should not exceed: what every topic takes, a Kafka topic with its default settings too. */
export const MESSAGE_BYTES_MAX = 1_000_000;

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
   * Appends the records, each partition's in the order given. Resolves when all are on stable storage.
   *
   * A caller that is refused may give the records that the error names again, as the same objects and in the same order,
   * until they are stored; none is stored twice by that. The others of the call are stored.
   *
   * @throws {PublishError} If some are not stored, or not known to be, within a bounded time.
   * @throws {TopicError} Any other: then none is stored.
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
   * @throws {MissingMessagesError} If messages from `offset` on are missing, and later ones are there.
   * @throws {TopicError} If the topic cannot be read, or `offset` is no longer or not yet there.
   */
  read(partition: number, offset: bigint, maxBytes: number): Promise<readonly TopicMessage[]>;
}

/** A place in a consumer group, whose members share a topic's partitions. Where offsets are kept is not the group's business. */
export interface TopicMembership extends AsyncDisposable {
  /** What this member has now; `changed` is aborted once it has others. */
  assignment(): { readonly partitions: readonly number[]; readonly changed: AbortSignal };
}

/** A topic that cannot be opened, read or written; the message names the topic and what to do. */
export class TopicError extends Error {
  override readonly name: string = "TopicError";
}

/** Messages within a topic that are not there, from an offset to before another. */
export class MissingMessagesError extends TopicError {
  override readonly name = "MissingMessagesError";

  /** @param topic As people know it. */
  constructor(topic: string, readonly partition: number, readonly from: bigint, readonly to: bigint) {
    super(`Cannot read topic "${topic}": partition ${partition} lacks offsets ${from} to before ${to}; restore it from a copy`);
  }
}

/** Records that were not acknowledged in time; every other of the call is stored. */
export class PublishError extends TopicError {
  override readonly name = "PublishError";

  /** @param unacknowledged Records that are not stored, or that may be stored yet. */
  constructor(message: string, readonly unacknowledged: ReadonlySet<TopicRecord>, options?: ErrorOptions) {
    super(message, options);
  }
}
