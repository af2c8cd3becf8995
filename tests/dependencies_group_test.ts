/** The dependencies job as members of a consumer group of a real broker: one is killed, and the other goes on as it would have. */

import assert from "node:assert/strict";
import { conversationMessage } from "../jobs/testdata/conversations.ts";
import { assertEqualsBatch, assertPublished } from "./edges.ts";
import { ask } from "../jobs/testdata/topic.ts";
import { openProducer } from "../lib/topic/open.ts";
import { Broker } from "../tools/kafka.ts";
import { RunningTask } from "./command.ts";
import { firstMissing, missingCommand, testWith } from "./require.ts";

const missing = firstMissing(await missingCommand("java", "-version"), await missingCommand("mvn", "--version"));
const MESSAGE_ROWS = 120, MESSAGES_A_MINUTE = 3;

/** Publishes messages `from` to before `to` to either partition. */
async function publish(topic: string, from: number, to: number): Promise<void> {
  await using producer = await openProducer(topic);
  for (let i = from; i < to; i++) {
    const minutesOn = Math.floor(i / MESSAGES_A_MINUTE);
    await producer.publish(
      [0, 1].map((partition) => ({ partition, value: conversationMessage(MESSAGE_ROWS, 2 * i + partition, minutesOn) })),
    );
  }
}

/** Waits until these partitions have told what a message of the last two minutes closed. */
async function untilTold(lake: string, messages: number, ...partitions: readonly number[]): Promise<void> {
  for (const partition of partitions) {
    for (;;) {
      const [row] = await ask(
        lake,
        `select coalesce(max(src_offset_to), 0)::integer as told from edge_1m where src_partition = ${partition}`,
      );
      if (Number(row!["told"]) > messages - 2 * MESSAGES_A_MINUTE) break;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

testWith(
  missing,
  "of two members of a group one is killed: the other takes over, and every edge is what SQL finds, in the topic of edges too",
  async () => {
    await using broker = await Broker.start();
    const flows = broker.url("flows"), made = broker.url("flows", "?partitions=2"), lake = await Deno.makeTempDir();
    const edges = broker.url("edges"), output = broker.url("edges", "?partitions=2");
    await publish(made, 0, 30);
    const join = () => {
      const places = ["--topic", flows, "--lake", lake, "--output-topic", output];
      return RunningTask.start("jobs", ["run", "dependencies", "--follow", "--group", "edges", ...places]);
    };
    const first = await join();
    await first.line('"partitions":"0-1"');
    await first.line('"message":"committed"');
    await untilTold(lake, 30, 0, 1);
    const second = await join();
    const taken = await second.line('"partitions taken"');
    assert.match(taken, /"partitions":"[01]"/);
    await publish(made, 30, 60);
    await untilTold(lake, 60, 0, 1);
    await publish(made, 60, 75);
    first.kill("SIGKILL");
    await publish(made, 75, 90);
    await second.line('"partitions":"0-1"');
    await untilTold(lake, 90, 0, 1);
    second.kill("SIGTERM");
    const { code, stderr } = await second.ended;
    assert.equal(code, 0, stderr);
    assert.ok(await assertEqualsBatch(flows, lake) > 1_000);
    await assertPublished(lake, edges);
  },
);
