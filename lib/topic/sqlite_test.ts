/** The embedded topic. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { testTopic } from "./contract.ts";
import { openConsumer, openProducer } from "./open.ts";
import { TopicError } from "./topic.ts";

async function newPath(): Promise<string> {
  return `${await Deno.makeTempDir()}/topic.db`;
}

testTopic("sqlite", async (partitionCount) => {
  const path = await newPath();
  const producer = () => openProducer(`sqlite:${path}?partitions=${partitionCount}`);
  await (await producer())[Symbol.asyncDispose]();
  return { producer, consumer: () => openConsumer(`sqlite:${path}`) };
}, (name, fn) => Deno.test(name, fn));

Deno.test("a hole within a topic is an error that tells its offsets, never a jump", async () => {
  const path = await newPath();
  await using producer = await openProducer(`sqlite:${path}`);
  await producer.publish(["a", "b", "c", "d"].map((text) => ({ partition: 0, value: new TextEncoder().encode(text) })));
  const database = new DatabaseSync(path);
  database.exec("delete from message where offset in (1, 2)");
  database.close();
  await using consumer = await openConsumer(`sqlite:${path}`);
  assert.deepEqual((await consumer.read(0, 0n, 1_000)).map(({ offset }) => offset), [0n]);
  await assert.rejects(consumer.read(0, 1n, 1_000), { name: "MissingMessagesError", partition: 0, from: 1n, to: 3n });
});

Deno.test("openConsumer() says what makes a topic that is not there", async () => {
  await assert.rejects(openConsumer("sqlite:/nowhere/topic.db"), {
    name: "TopicError",
    message: /"\/nowhere\/topic.db": there is no such file; the collector makes it/,
  });
});

Deno.test("openProducer() names the folder's path where it cannot make a topic", async () => {
  await assert.rejects(openProducer("sqlite:/nowhere/topic.db"), {
    name: "TopicError",
    message: /"\/nowhere\/topic.db": the file or its folder cannot be opened/,
  });
});

Deno.test("openConsumer() refuses a file that is no SQLite file, or another program's", async () => {
  const path = await newPath();
  await Deno.writeTextFile(path, "no database at all, but long enough to look at ".repeat(10));
  await assert.rejects(openConsumer(`sqlite:${path}`), { name: "TopicError", message: /no SQLite file/ });
  const empty = await newPath();
  await Deno.writeTextFile(empty, "");
  await assert.rejects(openConsumer(`sqlite:${empty}`), { name: "TopicError", message: /of another program/ });
});

Deno.test("openProducer() refuses URLs that it does not know, and tells those that it does", async () => {
  for (const url of ["kafka://localhost/flows", "topic.db", "sqlite:", "sqlite:a?partitions=x"]) {
    await assert.rejects(openProducer(url), TopicError);
  }
  await assert.rejects(openProducer("sqlite:/tmp/a?partitions=0"), { message: /0 partitions, needed 1 to 1024/ });
});

Deno.test("a topic that is made anew under an old path has another name", async () => {
  const path = await newPath();
  const nameOf = async () => {
    await (await openProducer(`sqlite:${path}`))[Symbol.asyncDispose]();
    await using consumer = await openConsumer(`sqlite:${path}`);
    return consumer.topicName;
  };
  const first = await nameOf();
  assert.equal(await nameOf(), first);
  for (const suffix of ["", "-wal", "-shm"]) {
    await Deno.remove(path + suffix).catch((error) => assert(error instanceof Deno.errors.NotFound));
  }
  assert.notEqual(await nameOf(), first);
});

Deno.test("a topic of format 1 is read and written on", async () => {
  const path = await newPath(), database = new DatabaseSync(path);
  database.exec(`pragma journal_mode = wal;
    create table topic (id text not null, partition_count integer not null) strict;
    create table message (partition integer not null, offset integer not null, value blob not null, primary key (partition, offset)) strict, without rowid;
    pragma application_id = ${0x536b7931};
    pragma user_version = 1;
    insert into topic values ('0a', 1);
    insert into message values (0, 0, x'61');`);
  database.close();
  await using producer = await openProducer(`sqlite:${path}`);
  await producer.publish([{ partition: 0, value: new TextEncoder().encode("b") }]);
  await using consumer = await openConsumer(`sqlite:${path}`);
  const messages = await consumer.read(0, 0n, 1_000);
  assert.deepEqual(messages.map(({ offset, value }) => [offset, new TextDecoder().decode(value)]), [[0n, "a"], [1n, "b"]]);
});

Deno.test("a topic of a newer format is refused", async () => {
  const path = await newPath();
  await (await openProducer(`sqlite:${path}`))[Symbol.asyncDispose]();
  const database = new DatabaseSync(path);
  database.exec("pragma user_version = 3");
  database.close();
  await assert.rejects(openConsumer(`sqlite:${path}`), { name: "TopicError", message: /it has format 3, needed 1 to 2/ });
});

Deno.test("a producer that is killed at any moment has stored all that it acknowledged, and leaves no gap", async () => {
  const path = await newPath();
  const url = `sqlite:${path}`;
  await (await openProducer(url))[Symbol.asyncDispose]();
  let acknowledged = 0;
  for (let round = 0; round < 5; round++) {
    const script = new URL("testdata/endless_producer.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", script, url], stdout: "piped" }).spawn();
    let killed = false;
    for await (const chunk of child.stdout) {
      acknowledged += chunk.length; // one byte an acknowledgement
      if (!killed && acknowledged > 20 * (round + 1)) {
        child.kill("SIGKILL");
        killed = true;
      }
    }
    await child.status;
  }
  await using consumer = await openConsumer(url);
  const messages = await consumer.read(0, 0n, 1 << 30);
  assert.ok(messages.length >= acknowledged, `${messages.length} stored, ${acknowledged} acknowledged`);
  assert.deepEqual(messages.map(({ offset }) => offset), messages.map((_, i) => BigInt(i)));
});
