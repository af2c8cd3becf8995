/** Opens topics by URL: `sqlite:PATH`, at creation with `?partitions=N`. */

import { openSqliteConsumer, openSqliteProducer } from "./sqlite.ts";
import { type TopicConsumer, TopicError, type TopicProducer } from "./topic.ts";

const PARTITIONS_MAX = 1_024;
const DEFAULT_PARTITIONS = 1;

/**
 * Opens a topic for writing, and makes an embedded one where there is none.
 *
 * @throws {TopicError} If the URL is none that is known, or the topic cannot be opened.
 */
export function openProducer(url: string): Promise<TopicProducer> {
  return Promise.try(() => {
    const { path, partitions } = parseUrl(url);
    return openSqliteProducer(path, partitions);
  });
}

/**
 * Opens an existing topic for reading.
 *
 * @throws {TopicError} As `openProducer()`, and where there is no such topic.
 */
export function openConsumer(url: string): Promise<TopicConsumer> {
  return Promise.try(() => openSqliteConsumer(parseUrl(url).path));
}

function parseUrl(url: string): { path: string; partitions: number } {
  const match = /^sqlite:([^?]+)(?:\?partitions=(\d+))?$/.exec(url);
  if (match === null) {
    const known = url.startsWith("kafka:") ? "this version has no Kafka topics; needed" : "needed";
    throw new TopicError(`Cannot open topic "${url}": ${known} "sqlite:PATH" or "sqlite:PATH?partitions=N"`);
  }
  const partitions = match[2] === undefined ? DEFAULT_PARTITIONS : Number(match[2]);
  if (partitions < 1 || partitions > PARTITIONS_MAX) {
    throw new TopicError(`Cannot open topic "${url}": ${partitions} partitions, needed 1 to ${PARTITIONS_MAX}`);
  }
  return { path: match[1]!, partitions };
}
