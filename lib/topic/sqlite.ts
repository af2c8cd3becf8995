/** The embedded topic: partitions as rows of one SQLite file, so that the chain runs on one machine with nothing installed. */

import { DatabaseSync } from "node:sqlite";
import { basename } from "node:path";
import {
  MissingMessagesError,
  type OffsetRange,
  type TopicConsumer,
  TopicError,
  type TopicMessage,
  type TopicProducer,
  type TopicRecord,
} from "./topic.ts";

/** "Sky1" in ASCII, in the file's header (sqlite.org/fileformat.html, application id). */
const APPLICATION_ID = 0x536b7931;
/**
 * Version 1 kept messages in the primary key's own tree, where a search reads each message that it passes, all of its bytes. Topics of
 * both are read and written.
 */
const FORMAT_VERSION = 2;
const BUSY_TIMEOUT_MS = 30_000;
/** Of a new file: messages of hundreds of kilobytes are read in a quarter of the calls that SQLite's 4,096 take. */
const PAGE_BYTES = 16_384;

const CREATE = `
  create table topic (id text not null, partition_count integer not null) strict;
  create table message (
    partition integer not null,
    offset integer not null,
    value blob not null,
    primary key (partition, offset)
  ) strict;
  pragma application_id = ${APPLICATION_ID};
  pragma user_version = ${FORMAT_VERSION};
`;

interface OpenTopic {
  readonly database: DatabaseSync;
  readonly id: string;
  readonly partitionCount: number;
}

/**
 * Opens a topic for writing, and makes it where there is none. Two producers may write to one file.
 *
 * @param partitionCount Number of partitions of a new topic; an existing one keeps its own.
 * @throws {TopicError} If the file cannot be made or opened, or is no topic.
 */
export function openSqliteProducer(path: string, partitionCount: number): TopicProducer {
  const topic = open(path, partitionCount);
  const last = topic.database.prepare("select coalesce(max(offset), -1) as offset from message where partition = ?");
  const insert = topic.database.prepare("insert into message (partition, offset, value) values (?, ?, ?)");

  function append(records: readonly TopicRecord[]): void {
    const next = new Map<number, number>();
    for (const { partition, value } of records) {
      if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitionCount) {
        throw new TopicError(`Cannot write topic "${path}": partition ${partition}, needed 0 to ${topic.partitionCount - 1}`);
      }
      const offset = next.get(partition) ?? Number(last.get(partition)!["offset"]) + 1;
      insert.run(partition, offset, value);
      next.set(partition, offset + 1);
    }
  }

  return {
    partitionCount: topic.partitionCount,
    // deno-lint-ignore require-await -- a topic's failures are rejections, also where nothing is awaited
    async publish(records) {
      explained(path, "write", () => inTransaction(topic.database, () => append(records)));
    },
    // deno-lint-ignore require-await -- as above
    async [Symbol.asyncDispose]() {
      topic.database.close();
    },
  };
}

/**
 * Opens an existing topic for reading; others may write meanwhile.
 *
 * @throws {TopicError} If there is no such file, or it is no topic.
 */
export function openSqliteConsumer(path: string): TopicConsumer {
  const topic = open(path, null);
  // Each alone is one search; both in one query would read the whole partition.
  const range = topic.database.prepare(`
    select coalesce((select min(offset) from message where partition = ?1), 0) as first,
      coalesce((select max(offset) from message where partition = ?1), -1) as last`);
  const select = topic.database.prepare("select offset, value from message where partition = ? and offset >= ? order by offset");

  function offsetsNow(partition: number): OffsetRange {
    const { first, last } = range.get(partition) as { first: number; last: number };
    return { begin: BigInt(first), end: BigInt(last) + 1n };
  }

  function readNow(partition: number, offset: bigint, bytesMax: number): TopicMessage[] {
    const { begin, end } = offsetsNow(partition);
    if (offset < begin || offset > end) {
      throw new TopicError(`Cannot read topic "${path}": partition ${partition} offset ${offset}, there are ${begin} to before ${end}`);
    }
    const messages: TopicMessage[] = [];
    let bytes = 0;
    for (const row of select.iterate(partition, offset)) {
      const value = row["value"] as Uint8Array, at = BigInt(row["offset"] as number), due = offset + BigInt(messages.length);
      bytes += value.length;
      if (messages.length > 0 && (bytes > bytesMax || at !== due)) break;
      if (at !== due) throw new MissingMessagesError(path, partition, due, at);
      messages.push({ partition, offset: at, value });
    }
    return messages;
  }

  return {
    topicName: `${basename(path)}-${topic.id}`,
    partitionCount: topic.partitionCount,
    // deno-lint-ignore require-await -- as above
    async offsets(partition) {
      return explained(path, "read", () => offsetsNow(partition));
    },
    // deno-lint-ignore require-await -- as above
    async read(partition, offset, bytesMax) {
      return explained(path, "read", () => readNow(partition, offset, bytesMax));
    },
    // deno-lint-ignore require-await -- as above
    async [Symbol.asyncDispose]() {
      topic.database.close();
    },
  };
}

/** @param partitionCount Null where a topic must be there already. */
function open(path: string, partitionCount: number | null): OpenTopic {
  if (partitionCount === null) mustExist(path);
  return explained(path, "open", () => {
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    try {
      if (partitionCount !== null) createIfEmpty(database, partitionCount);
      return { database, ...readIdentity(database, path) };
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

function mustExist(path: string): void {
  try {
    Deno.statSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new TopicError(
      `Cannot open topic "${path}": there is no such file; the collector makes it when it runs with "--topic sqlite:${path}"`,
      { cause },
    );
  }
}

function createIfEmpty(database: DatabaseSync, partitionCount: number): void {
  database.exec(`pragma page_size = ${PAGE_BYTES}; pragma journal_mode = wal; pragma synchronous = full;`);
  inTransaction(database, () => {
    if (database.prepare("select count(*) as tables from sqlite_schema").get()!["tables"] !== 0) return;
    database.exec(CREATE);
    const id = Array.from(crypto.getRandomValues(new Uint8Array(4)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    database.prepare("insert into topic (id, partition_count) values (?, ?)").run(id, partitionCount);
  });
}

function readIdentity(database: DatabaseSync, path: string): { id: string; partitionCount: number } {
  const applicationId = database.prepare("pragma application_id").get()!["application_id"];
  const version = database.prepare("pragma user_version").get()!["user_version"];
  if (applicationId !== APPLICATION_ID) throw new TopicError(`Cannot open topic "${path}": it is a SQLite file of another program`);
  if (typeof version !== "number" || version < 1 || version > FORMAT_VERSION) {
    throw new TopicError(`Cannot open topic "${path}": it has format ${version}, needed 1 to ${FORMAT_VERSION}`);
  }
  const row = database.prepare("select id, partition_count from topic").get() as { id: string; partition_count: number };
  return { id: row.id, partitionCount: row.partition_count };
}

function inTransaction(database: DatabaseSync, action: () => void): void {
  database.exec("begin immediate");
  try {
    action();
    database.exec("commit");
  } catch (error) {
    // A full disk has already rolled back.
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
}

/** SQLite's own words for its primary result codes (sqlite3_errstr), and what to do about them. */
const REMEDIES: readonly { readonly says: RegExp; readonly remedy: string }[] = [
  { says: /database is locked/, remedy: "another process keeps it locked; wait for it or stop it" },
  { says: /readonly database/, remedy: "it is read-only; give this user the right to write it" },
  { says: /disk I\/O error/, remedy: "the disk failed; look at the kernel's log" },
  { says: /disk image is malformed/, remedy: "it is damaged; move it away and restore it from a copy, or start a new one" },
  { says: /disk is full/, remedy: "the disk is full; free some space, nothing that was stored is lost" },
  { says: /not a database/, remedy: "it is no SQLite file; name another path" },
  {
    says: /unable to open/,
    remedy: "the file or its folder cannot be opened; make the folder, or give this user the right to use it",
  },
];

/** Runs an action, and says of SQLite's errors which topic they befell and what to do. */
function explained<T>(path: string, action: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ERR_SQLITE_ERROR") throw cause;
    const known = REMEDIES.find(({ says }) => says.test(cause.message)); // not every error comes with its code
    throw new TopicError(`Cannot ${action} topic "${path}": ${known?.remedy ?? "SQLite failed"}`, { cause });
  }
}
