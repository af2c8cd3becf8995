/** Opens topics by URL: `sqlite:PATH` or `kafka://HOST:PORT[,HOST:PORT]/TOPIC`, at creation with `?partitions=N`. */

import { openSqliteConsumer, openSqliteProducer } from "./sqlite.ts";
import { type TopicConsumer, TopicError, type TopicMembership, type TopicProducer } from "./topic.ts";

const PARTITIONS_MAX = 1_024;
const DEFAULT_PARTITIONS = 1;

/** Forms of a URL, for people. */
export const TOPIC_URL_FORMS = "sqlite:PATH or kafka://HOST:PORT/TOPIC";

/**
 * Opens a topic for writing, and makes an embedded one where there is none; a Kafka topic only where the URL tells partitions.
 *
 * @throws {TopicError} If the URL is none that is known, or the topic cannot be opened.
 */
export async function openProducer(url: string): Promise<TopicProducer> {
  if (isKafka(url)) return (await import("./kafka.ts")).openKafkaProducer(url);
  const { path, partitions } = parseUrl(url);
  return openSqliteProducer(path, partitions);
}

/**
 * Opens an existing topic for reading.
 *
 * @throws {TopicError} As `openProducer()`, and where there is no such topic.
 */
export async function openConsumer(url: string): Promise<TopicConsumer> {
  if (isKafka(url)) return (await import("./kafka.ts")).openKafkaConsumer(url);
  return openSqliteConsumer(parseUrl(url).path);
}

/**
 * Joins a consumer group of a Kafka topic, and returns once it has got its partitions.
 *
 * @throws {TopicError} As `openConsumer()`, and for an embedded topic, which has no groups.
 */
export async function joinGroup(url: string, group: string): Promise<TopicMembership> {
  if (isKafka(url)) return (await import("./kafka.ts")).joinKafkaGroup(url, group);
  throw new TopicError(
    `Cannot join group "${group}" of topic "${url}": only a Kafka topic has groups; give each writer its own partitions`,
  );
}

/** The client is loaded only where it is used: it takes time and memory that the embedded topic does not need. */
function isKafka(url: string): boolean {
  return url.startsWith("kafka:");
}

function parseUrl(url: string): { path: string; partitions: number } {
  const match = /^sqlite:([^?]+)(?:\?partitions=(\d+))?$/.exec(url);
  if (match === null) {
    throw new TopicError(`Cannot open topic "${url}": needed ${TOPIC_URL_FORMS}, or sqlite:PATH?partitions=N`);
  }
  const partitions = match[2] === undefined ? DEFAULT_PARTITIONS : Number(match[2]);
  if (partitions < 1 || partitions > PARTITIONS_MAX) {
    throw new TopicError(`Cannot open topic "${url}": ${partitions} partitions, needed 1 to ${PARTITIONS_MAX}`);
  }
  return { path: match[1]!, partitions };
}
