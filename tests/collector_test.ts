/** The collector as a program: from datagrams on its port to rows in the topic, and what it says when it cannot work. */

import assert from "node:assert/strict";
import { skyfallDatagram, skyfallRecord } from "../collector/testdata/datagram.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { openConsumer } from "../lib/topic/open.ts";
import { RunningTask, runTask } from "./command.ts";
