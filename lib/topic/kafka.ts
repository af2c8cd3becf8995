/** Topics of a Kafka cluster: writing without loss or doubles, and reading on from an offset. */

import { Buffer } from "node:buffer";
import { zstdDecompressSync } from "node:zlib";
import {
  Admin,
  type BaseOptions,
  type Callback,
  type CallbackWithPromise,
  compressionsAlgorithms,
  ConfigResourceTypes,
  Consumer,
  kPerformWithRetry,
  ListOffsetTimestamps,
  Producer,
} from "@platformatic/kafka";
import { connectionOptions } from "./kafka_connection.ts";
import { hasName, innerOf, isUnknownTopic, remedyOf } from "./kafka_failure.ts";
import { type KafkaUrl, parseKafkaUrl } from "./kafka_url.ts";
import { Outbox } from "./outbox.ts";
import {
  MissingMessagesError,
  type OffsetRange,
  type TopicConsumer,
  TopicError,
  type TopicMembership,
  type TopicMessage,
  type TopicProducer,
  type TopicRecord,
} from "./topic.ts";

/** How long a topic may take to open, and a read to answer. */
const ANSWER_TIMEOUT_MS = 20_000;
/** How long `publish()` waits; what is under way by then goes on. */
const PUBLISH_TIMEOUT_MS = 5_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
/** Producers side by side, each with partitions of its own. */
const LANES = 4;
/** Bytes of one batch, before compression. */
const BATCH_BYTES = 1 << 20;
/** Room for a batch's own header, and for values that compression makes longer. */
const BATCH_SLACK_BYTES = 8_192;
/** Kafka's default of `max.message.bytes`, and the least that a topic must take: `MESSAGE_BYTES_MAX` and its frame fit. */
const MESSAGE_BYTES_NEEDED = 1_048_588;
/** Bytes of one fetch, as they are stored. */
const FETCH_BYTES = 1 << 20;
/** A member of a group that is silent for so long has left. */
const SESSION_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** How long the others wait for a member to finish what it is at. */
const REBALANCE_TIMEOUT_MS = 10_000;
/** Batches of markers of transactions hold no messages (KIP-98). */
const CONTROL_BATCH = 1 << 5;

// The client decompresses into pieces of 16 KiB, and puts them together: a seventh of a job's CPU time.
Object.assign(compressionsAlgorithms.zstd, {
  decompressSync: (data: Uint8Array | { readonly buffer: Uint8Array }) =>
    zstdDecompressSync(data instanceof Uint8Array ? data : data.buffer, { chunkSize: BATCH_BYTES }),
});

interface KafkaTopic {
  readonly url: KafkaUrl;
  readonly text: string;
  readonly options: BaseOptions;
  readonly partitionCount: number;
  /** Tells topics of one name apart: a topic that is made anew has another. */
  readonly id: string;
  readonly messageBytesMax: number;
}

/**
 * Opens a topic for writing, and makes it where there is none and the URL tells the number of partitions.
 *
 * @throws {TopicError} If the URL is wrong, or the topic cannot be reached or made.
 */
export async function openKafkaProducer(text: string): Promise<TopicProducer> {
  const topic = await openTopic(text, true);
  const laneCount = Math.min(LANES, topic.partitionCount);
  const producers = Array.from({ length: laneCount }, () => new PatientProducer(topic.options));
  const outbox = new Outbox({
    laneCount,
    batchBytesMax: Math.min(BATCH_BYTES, topic.messageBytesMax) - BATCH_SLACK_BYTES,
    async send(lane, partition, values) {
      const messages = values.map((value) => ({ topic: topic.url.topic, partition, value: bufferOf(value) }));
      await producers[lane]!.send({ messages });
      producers[lane]!.lastFailure = null;
    },
    explain: (cause) => {
      const tried = producers.map(({ lastFailure }) => lastFailure).find((failure) => failure !== null);
      const known = cause ?? tried ?? new Error("The broker has not answered yet.");
      return { message: problem(topic, "write", known), cause: innerOf(known) };
    },
  });
  return {
    partitionCount: topic.partitionCount,
    async publish(records) {
      assertPartitions(topic, records);
      await outbox.publish(records, PUBLISH_TIMEOUT_MS);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(producers.map((producer) => producer.close()));
    },
  };
}

/** A producer that tries on for as long as it takes, so that nothing is ever sent as a new message that may be stored already. */
export class PatientProducer extends Producer {
  /** Why the last try failed; null since one did not. */
  lastFailure: Error | null = null;

  constructor(options: BaseOptions) {
    const retryDelay = (_client: object, _operation: string, attempt: number) => Math.min(RETRY_MIN_MS * 2 ** attempt, RETRY_MAX_MS);
    super({ ...options, idempotent: true, compression: "zstd", retryDelay });
    outliveErrors(this);
  }

  /** The client keeps the failures of all tries, 16 kB each with what their stacks hold; over a long outage that is too much. */
  override [kPerformWithRetry]<T>(
    operationId: string,
    operation: (callback: Callback<T>, attempt: number) => void,
    callback: CallbackWithPromise<T>,
    attempt?: number,
    errors: Error[] = [],
    shouldSkipRetry?: (error: Error) => boolean,
    retryLimit?: number,
  ): void | Promise<T> {
    errors.splice(0, errors.length - 1);
    this.lastFailure = errors[0] ?? this.lastFailure;
    return super[kPerformWithRetry](operationId, operation, callback, attempt, errors, shouldSkipRetry, retryLimit);
  }
}

function assertPartitions({ text, partitionCount }: KafkaTopic, records: readonly TopicRecord[]): void {
  for (const { partition } of records) {
    if (!Number.isInteger(partition) || partition < 0 || partition >= partitionCount) {
      throw new TopicError(`Cannot write topic "${text}": partition ${partition}, needed 0 to ${partitionCount - 1}`);
    }
  }
}

/** The same bytes. */
function bufferOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/**
 * Opens an existing topic for reading. Offsets are the caller's: no consumer group is joined.
 *
 * @throws {TopicError} As `openKafkaProducer()`, and where there is no such topic.
 */
export async function openKafkaConsumer(text: string): Promise<TopicConsumer> {
  const topic = await openTopic(text, false);
  const consumer = new Consumer({ ...topic.options, groupId: "skyfall", autocommit: false, maxWaitTime: 0, retries: 5, retryDelay: 300 });
  outliveErrors(consumer);
  consumer.topics.track(topic.url.topic);
  const reader = new Reader(topic, consumer);
  return {
    topicName: `${topic.url.topic}-${topic.id.slice(0, 8)}`,
    partitionCount: topic.partitionCount,
    offsets: (partition) => explained(topic, "read", reader.offsets(partition)),
    read: (partition, offset, bytesMax) => explained(topic, "read", reader.read(partition, offset, bytesMax)),
    async [Symbol.asyncDispose]() {
      await consumer.close(true);
    },
  };
}

/**
 * Joins a consumer group. A member that does not answer for `SESSION_TIMEOUT_MS` loses its partitions to the others.
 *
 * @throws {TopicError} As `openKafkaConsumer()`, or if the group cannot be joined.
 */
export async function joinKafkaGroup(text: string, groupId: string): Promise<TopicMembership> {
  const topic = await openTopic(text, false), { topic: name } = topic.url;
  const timing = { sessionTimeout: SESSION_TIMEOUT_MS, heartbeatInterval: HEARTBEAT_MS, rebalanceTimeout: REBALANCE_TIMEOUT_MS };
  const consumer = new Consumer({ ...topic.options, ...timing, groupId, autocommit: false, retries: true, retryDelay: 200 });
  outliveErrors(consumer);
  consumer.topics.track(name);
  let changed = new AbortController();
  const replace = () => {
    const former = changed;
    changed = new AbortController();
    former.abort();
  };
  for (const event of ["consumer:group:join", "consumer:group:rebalance", "consumer:group:leave", "consumer:heartbeat:error"] as const) {
    consumer.on(event, replace);
  }
  await explained(topic, "read", consumer.joinGroup(timing));
  return {
    assignment: () => ({
      partitions:
        consumer.assignments?.filter((assigned) => assigned.topic === name).flatMap(({ partitions }) => partitions).sort((a, b) => a - b) ??
          [],
      changed: changed.signal,
    }),
    async [Symbol.asyncDispose]() {
      await consumer.leaveGroup(true);
      await consumer.close(true);
    },
  };
}

/** Reads a topic's partitions; what a fetch brought beyond what was asked for is kept for the next read. */
class Reader {
  readonly #topic: KafkaTopic;
  readonly #consumer: Consumer;
  /** By partition, the messages that follow the last one read. */
  readonly #ahead = new Map<number, TopicMessage[]>();

  constructor(topic: KafkaTopic, consumer: Consumer) {
    this.#topic = topic;
    this.#consumer = consumer;
  }

  async offsets(partition: number): Promise<OffsetRange> {
    await this.#leader(partition);
    const [begin, end] = await Promise.all([ListOffsetTimestamps.EARLIEST, ListOffsetTimestamps.LATEST].map(async (timestamp) => {
      const name = this.#topic.url.topic;
      const offsets = await this.#consumer.listOffsets({ topics: [name], partitions: { [name]: [partition] }, timestamp });
      return offsets.get(name)![partition]!;
    }));
    return { begin: begin!, end: end! };
  }

  async read(partition: number, offset: bigint, bytesMax: number): Promise<TopicMessage[]> {
    const messages: TopicMessage[] = [];
    let bytes = 0, next = offset;
    let ahead = this.#ahead.get(partition) ?? [];
    this.#ahead.delete(partition);
    if (ahead[0]?.offset !== offset) ahead = [];
    for (;;) {
      for (const [i, message] of ahead.entries()) {
        bytes += message.value.length;
        if (messages.length > 0 && bytes > bytesMax) {
          this.#ahead.set(partition, ahead.slice(i));
          return messages;
        }
        messages.push(message);
        next = message.offset + 1n;
      }
      const fetched = bytes < bytesMax
        ? await this.#fetch(partition, next).catch((error) => {
          if (error instanceof MissingMessagesError && messages.length > 0) return null; // the next read begins with it
          throw error;
        })
        : null;
      if (fetched === null) return messages;
      ahead = fetched.messages;
      next = fetched.next;
    }
  }

  /** Messages from an offset on, as many as a fetch brings; null where there are none yet. */
  async #fetch(partition: number, offset: bigint): Promise<{ messages: TopicMessage[]; next: bigint } | null> {
    const node = await this.#leader(partition);
    const request = { partition, currentLeaderEpoch: -1, fetchOffset: offset, lastFetchedEpoch: -1, partitionMaxBytes: FETCH_BYTES };
    const response = await this.#consumer.fetch({
      node,
      topics: [{ topicId: this.#topic.id, partitions: [request] }],
      maxBytes: FETCH_BYTES,
      minBytes: 1,
      maxWaitTime: 0,
    }).catch(async (error) => {
      throw await this.#explainOffset(error, partition, offset);
    });
    const batches = response.responses.flatMap(({ partitions }) => partitions.flatMap(({ records }) => records ?? []));
    if (batches.length === 0) return null;
    const messages: TopicMessage[] = [];
    let due = offset;
    for (const { firstOffset, lastOffsetDelta, attributes, records } of batches) {
      if (firstOffset > due) {
        if (messages.length > 0) return { messages, next: due };
        throw new MissingMessagesError(this.#topic.text, partition, due, firstOffset);
      }
      due = firstOffset + BigInt(lastOffsetDelta) + 1n;
      if ((attributes & CONTROL_BATCH) !== 0) continue;
      for (const { offsetDelta, value } of records) {
        const at = firstOffset + BigInt(offsetDelta); // a batch begins before the offset that lies in it
        if (at >= offset) messages.push({ partition, offset: at, value: new Uint8Array(value ?? []) });
      }
    }
    return { messages, next: due };
  }

  async #explainOffset(error: unknown, partition: number, offset: bigint): Promise<unknown> {
    if (!hasName(error, "OFFSET_OUT_OF_RANGE")) return error;
    const { begin, end } = await this.offsets(partition);
    return new TopicError(
      `Cannot read topic "${this.#topic.text}": partition ${partition} offset ${offset}, there are ${begin} to before ${end}`,
      { cause: error },
    );
  }

  /** Node that leads a partition. */
  async #leader(partition: number): Promise<number> {
    const metadata = await this.#consumer.metadata({ topics: [this.#topic.url.topic] });
    const { id, partitions } = metadata.topics.get(this.#topic.url.topic)!;
    if (id !== this.#topic.id) throw new TopicError(`Cannot read topic "${this.#topic.text}": it was deleted and made anew; start again`);
    const leader = partitions[partition]?.leader;
    if (leader !== undefined) return leader;
    throw new TopicError(`Cannot read topic "${this.#topic.text}": partition ${partition}, needed 0 to ${partitions.length - 1}`);
  }
}

/** Finds the topic, or makes it where it may. */
async function openTopic(text: string, mayMake: boolean): Promise<KafkaTopic> {
  const url = parseKafkaUrl(text);
  const options = await connectionOptions(url, text);
  const admin = new Admin({ ...options, retries: 3, retryDelay: 300 });
  outliveErrors(admin);
  const found = async (): Promise<KafkaTopic> => {
    const creation = mayMake ? url.creation : null;
    const { id, partitionsCount } = creation === null ? await find(admin, url) : await findOrMake(admin, url, creation);
    const messageBytesMax = mayMake ? await readMessageBytesMax(admin, url) : MESSAGE_BYTES_NEEDED;
    return { url, text, options, partitionCount: partitionsCount, id, messageBytesMax };
  };
  try {
    const topic = await explained({ text }, "open", found());
    if (topic.messageBytesMax >= MESSAGE_BYTES_NEEDED) return topic;
    throw new TopicError(
      `Cannot open topic "${text}": it takes messages of ${topic.messageBytesMax} bytes, needed ${MESSAGE_BYTES_NEEDED}; raise its max.message.bytes`,
    );
  } finally {
    await admin.close();
  }
}

async function find(admin: Admin, { topic }: KafkaUrl): Promise<{ id: string; partitionsCount: number; led: boolean }> {
  const { id, partitionsCount, partitions } = (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic)!;
  return { id, partitionsCount, led: partitions.every(({ leader }) => leader >= 0) };
}

async function findOrMake(admin: Admin, url: KafkaUrl, creation: { partitions: number; replication: number | null }) {
  try {
    return await find(admin, url);
  } catch (error) {
    if (!isUnknownTopic(error)) throw error;
  }
  const { topic } = url, { partitions, replication } = creation;
  await admin.createTopics({ topics: [topic], partitions, ...(replication === null ? {} : { replicas: replication }) }).catch((error) => {
    if (!hasName(error, "TOPIC_ALREADY_EXISTS")) throw error; // another collector was quicker
  });
  for (;;) {
    const made = await find(admin, url).catch((error) => {
      if (!isUnknownTopic(error)) throw error; // not every broker knows of it yet
      return null;
    });
    if (made?.led) return made;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MIN_MS));
  }
}

/** Bytes of one batch that the topic takes; Kafka's default where this user may not ask. */
async function readMessageBytesMax(admin: Admin, { topic }: KafkaUrl): Promise<number> {
  const name = "max.message.bytes";
  try {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [name] };
    const [{ configs } = { configs: [] }] = await admin.describeConfigs({ resources: [resource] });
    return Number(configs.find((config) => config.name === name)?.value ?? MESSAGE_BYTES_NEEDED);
  } catch (error) {
    if (!hasName(error, "TOPIC_AUTHORIZATION_FAILED")) throw error;
    return MESSAGE_BYTES_NEEDED;
  }
}

/** The client listens for the first error of a connection alone; of a second, as TLS may bring, the process would die. */
function outliveErrors({ connections }: Admin | Consumer | Producer): void {
  connections.on("connecting", ({ connection }) => {
    const ignore = () => {};
    connection.on("error", ignore);
    queueMicrotask(() => connection.socket?.on("error", ignore)); // it is made right after this event
  });
}

type Action = "open" | "read" | "write";

function problem({ text }: { readonly text: string }, action: Action, error: unknown): string {
  return `Cannot ${action} topic "${text}": ${remedyOf(error)}`;
}

/** Waits for the cluster's answer, but not for ever, and says of its errors which topic they befell and what to do. */
async function explained<T>(topic: { readonly text: string }, action: Action, answer: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error("The request timed out.")), ANSWER_TIMEOUT_MS);
  try {
    return await Promise.race([answer, timeout.promise]);
  } catch (error) {
    if (error instanceof TopicError) throw error;
    throw new TopicError(problem(topic, action, error), { cause: innerOf(error) });
  } finally {
    clearTimeout(timer);
  }
}
