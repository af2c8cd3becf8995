/** `collector load-test`: what this machine's cores take of a fleet's events, stage by stage. */

import process from "node:process";
import { DatagramSender } from "../ffi/libc.ts";
import { adviseHugePages } from "../ffi/libc_huge_pages.ts";
import { SLOT_BYTES, UdpReceiver } from "../ffi/libc_udp_receiver.ts";
import { parseHostPort } from "../lib/ip_address.ts";
import { DEFAULT_ENTERPRISE } from "../lib/sflow/datagram.ts";
import { makeLoadDatagrams, packDatagrams } from "../lib/sflow/load_datagrams.ts";
import { FlowTable } from "./aggregate.ts";
import { DEFAULT_CONFIG } from "./config.ts";
import { FlowRows } from "./flow_rows.ts";
import { FlowFlusher } from "./flush.ts";
import { IdentityTable } from "./identities.ts";
import { FlowReceiver } from "./receive.ts";

/** How the load is made; the figures hold for it alone. */
const LOAD = { flows: 500_000, conversations: 100_000, processes: 50 } as const;
const STAGE_MS = 2_000;
const PARTITIONS = 16;
/** Datagrams that are put into a socket's buffer before it is emptied; less fit where the kernel allows little. */
const BURST_DATAGRAMS = 4_096;
const LOOPBACK = "127.0.0.1:0";

/** What one core did in a stage. */
export interface StageFigure {
  readonly stage: string;
  readonly unit: string;
  readonly perSecond: number;
  /** In events, so that stages may be added up. */
  readonly eventsPerSecond: number;
}

/** Prints the figures of one core, and of all stages one after the other. */
export function loadTest(): void {
  const datagrams = makeLoadDatagrams(LOAD, Date.now() * 1_000);
  const figures = [measureReceive(datagrams), ...measureTable(datagrams)];
  console.log(
    `${LOAD.flows} events of ${LOAD.conversations} conversations in ${datagrams.length} datagrams, one core, ${
      STAGE_MS / 1_000
    } s a stage\n`,
  );
  for (const { stage, unit, perSecond, eventsPerSecond } of figures) {
    console.log(
      `${stage.padEnd(22)}${Math.round(perSecond).toLocaleString("en").padStart(12)} ${unit.padEnd(20)}${
        millions(eventsPerSecond)
      } events/s`,
    );
  }
  const together = 1 / figures.reduce((sum, { eventsPerSecond }) => sum + 1 / eventsPerSecond, 0);
  console.log(
    `\nall stages on one core: ${millions(together)} events/s, where a row adds up ${
      LOAD.flows / LOAD.conversations
    } events; the topic is not in it`,
  );
  console.log(
    `table: ${
      Math.round(new FlowRows(DEFAULT_CONFIG.tableRows, 1).bytesMax / DEFAULT_CONFIG.tableRows)
    } bytes for each IPv4 row that a worker has room for`,
  );
  console.log(`${navigator.hardwareConcurrency} cores here; docs/reference/sizing.md has the arithmetic`);
}

/** Empties a socket whose buffer was filled before: the kernel's work for the reader is in it, the sender's is not. */
function measureReceive(datagrams: readonly Uint8Array<ArrayBuffer>[]): StageFigure {
  const { address } = parseHostPort(LOOPBACK);
  using socket = UdpReceiver.bind(address, 0, true, LOOPBACK);
  using sender = new DatagramSender(address, socket.port, true);
  let received = 0, bytes = 0, spentMs = 0;
  for (let next = 0; spentMs < STAGE_MS / 2;) {
    for (let i = 0; i < BURST_DATAGRAMS; i++) sender.send(datagrams[next++ % datagrams.length]!);
    // The last call would wait for more: it is known beforehand only that something is there.
    for (let left = BURST_DATAGRAMS; left > 0;) {
      const startMs = cpuMs();
      const count = socket.receive();
      if (count === 0) break; // the buffer held less
      for (let i = 0; i < count; i++) bytes += socket.view.getUint32(i * SLOT_BYTES) + socket.bytes(i);
      spentMs += cpuMs() - startMs;
      received += count;
      left -= count;
    }
  }
  if (bytes === 0) throw new Error("Cannot measure: nothing was received");
  const perSecond = received / (spentMs / 1_000);
  return { stage: "receive", unit: "datagrams/s", perSecond, eventsPerSecond: perSecond * LOAD.flows / datagrams.length };
}

/** Decodes and adds up all datagrams in a table, encodes its rows, and begins anew. */
function measureTable(datagrams: readonly Uint8Array<ArrayBuffer>[]): StageFigure[] {
  const packed = packDatagrams(datagrams);
  const table = new FlowTable(DEFAULT_CONFIG.tableRows, DEFAULT_CONFIG.windowS, PARTITIONS), identities = new IdentityTable();
  table.buffers.forEach(adviseHugePages);
  let addMs = 0, encodeMs = 0, events = 0, rows = 0, bytes = 0;
  const flusher = new FlowFlusher(table, identities, DEFAULT_CONFIG.windowS, PARTITIONS, {
    isBlocked: () => false,
    format: DEFAULT_CONFIG.format,
    takeLosses: () => [],
    onMessages: (messages) => bytes += messages.reduce((sum, { value }) => sum + value.length, 0),
  });
  while (addMs < STAGE_MS || encodeMs < STAGE_MS / 2) {
    // Its streams are new each time: the same datagrams again would be duplicates.
    const receiver = new FlowReceiver(table, identities, DEFAULT_ENTERPRISE, () => flusher.forgetIdentities());
    table.nowUs = Date.now() * 1_000;
    const startMs = cpuMs();
    receiver.receiveAll(packed);
    const addedMs = cpuMs();
    events += table.eventCount;
    rows += table.rowCount;
    flusher.flushAll();
    addMs += addedMs - startMs;
    encodeMs += cpuMs() - addedMs;
  }
  const added = events / (addMs / 1_000), encoded = rows / (encodeMs / 1_000);
  return [
    { stage: "decode and aggregate", unit: "events/s", perSecond: added, eventsPerSecond: added },
    {
      stage: "encode",
      unit: `rows/s, ${Math.round(bytes / rows)} B`,
      perSecond: encoded,
      eventsPerSecond: encoded * LOAD.flows / LOAD.conversations,
    },
  ];
}

/** Processor time of the process so far, its helper threads included: what others do on this machine is not in it. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} M`;
}
