/** How many cores, bytes and machines a fleet needs: the arithmetic, made of figures of one core; written by `deno task gen`. */

/** Measured; the one place to change them. Per second of processor time where they are rates. */
const MEASURED = {
  receiveDatagrams: 1_400_000,
  aggregateEvents: 2_850_000,
  encodeRows: 490_000,
  messageBytesPerRow: 446,
  tableBytesPerRow: 268,
  /** Of all stages and publishing, on a fleet's trace: 4,000 agents, 0.9 million live rows. */
  wholeEvents: 650_000,
} as const;

/** The fleet of LinkedIn's article, and what the article leaves open. */
const FLEET = {
  events: 12_000_000,
  rows: 1_400_000,
  hosts: 300_000,
  eventsPerDatagram: 5,
  datagramBytes: 1_400,
} as const;

/** Rows stay for a window of 60 s and the 8 s that agents may take to send what a minute ended with. */
const ROW_S = 68;
/** Share of its processor time that a machine is planned with: the rest is for bursts and for machines that are away. */
const PLANNED_SHARE = 0.5;
const MACHINE_CORES = 16;
/** Buffer of a socket, and what the kernel takes of it for a datagram of 1,400 bytes. */
const BUFFER_BYTES = 64 * 1024 * 1024, BUFFERED_DATAGRAM_BYTES = 2_304;

/** What a fleet's trace costs over the stages one by one, rounded up. */
const WHOLE_OVER_STAGES = 3;

/** Markdown of docs/reference/sizing.md. */
export function sizingDocument(): string {
  return `<!-- Do not edit; made by \`deno task gen\` from collector/sizing_document.ts. -->

# Sizing the collector

## What one core does

| Stage | Figure | Measured with |
| --- | --- | --- |
| receive | ${count(MEASURED.receiveDatagrams)} datagrams a second of processor time | \`collector load-test\` |
| decode and aggregate | ${count(MEASURED.aggregateEvents)} events a second of processor time | \`collector load-test\` |
| encode | ${
    count(MEASURED.encodeRows)
  } rows a second of processor time, ${MEASURED.messageBytesPerRow} bytes each before the topic compresses them | \`collector load-test\` |
| all of them and publishing to Kafka, a fleet's trace | ${
    count(MEASURED.wholeEvents)
  } events a second of processor time | \`bench collector\` |
| memory | ${MEASURED.tableBytesPerRow} bytes a row that is live | the table's arrays |

They are of a shared virtual machine of 2 x86-64 cores, with 100,000 conversations: \`collector load-test\` tells those of yours. A fleet's
trace costs more than the stages one by one: its 4,000 agents and 0.9 million rows are in no cache, and publishing is in it.

## A fleet of the article's size

LinkedIn's article tells ${count(FLEET.events)} events/s in and ${
    count(FLEET.rows)
  } messages/s out, where a message is one aggregated flow: a row of
ours. It tells "hundreds of thousands" of hosts; ${
    count(FLEET.hosts)
  } are assumed, and datagrams of ${FLEET.eventsPerDatagram} events, which is a full one with its descriptors.

${fleetTable()}

## Your own fleet

1. Events: \`skyfall_agent_flow_records_total\` of some typical hosts, per second, times hosts.
2. Rows: \`skyfall_collector_rows_published_total\` over \`skyfall_collector_events_published_total\` of a trial with some of them.
3. Cores: events / ${FLEET.eventsPerDatagram} / receive + events / aggregate + rows / encode, with the figures of \`collector load-test\`, times ${WHOLE_OVER_STAGES} for a
   whole fleet; twice that is planned.
4. Memory: rows a second x ${ROW_S} s x bytes a row.
5. Watch \`skyfall_collector_socket_dropped_datagrams_total\` and \`skyfall_collector_rows_early_total\`: both stay 0 on a machine that is large enough.

The kernel's \`net.core.rmem_max\` bounds a socket's buffer for a collector without CAP_NET_ADMIN; the log line \`listening\` tells what
was granted, as \`receive_buffer_bytes\`. The package \`skyfall-collector\` raises it to 64 MiB.
`;
}

/** What the fleet needs, a row a quantity. */
function fleetTable(): string {
  const datagrams = FLEET.events / FLEET.eventsPerDatagram;
  const cores = {
    receive: datagrams / MEASURED.receiveDatagrams,
    aggregate: FLEET.events / MEASURED.aggregateEvents,
    encode: FLEET.rows / MEASURED.encodeRows,
  };
  const stages = cores.receive + cores.aggregate + cores.encode, busy = FLEET.events / MEASURED.wholeEvents;
  const planned = busy / PLANNED_SHARE, machines = Math.ceil(planned / MACHINE_CORES);
  const liveRows = FLEET.rows * ROW_S;
  const perCore = datagrams / Math.ceil(planned), bufferMs = 1_000 * BUFFER_BYTES / BUFFERED_DATAGRAM_BYTES / perCore;
  return `| What | Arithmetic | Result |
| --- | --- | --- |
| events of a host | ${count(FLEET.events)} / ${count(FLEET.hosts)} | ${count(FLEET.events / FLEET.hosts)} a second |
| datagrams | ${count(FLEET.events)} / ${FLEET.eventsPerDatagram} | ${count(datagrams)} a second, ${
    fixed(datagrams * FLEET.datagramBytes * 8 / 1e9)
  } Gbit/s |
| cores to receive | ${count(datagrams)} / ${count(MEASURED.receiveDatagrams)} | ${fixed(cores.receive)} |
| cores to decode and aggregate | ${count(FLEET.events)} / ${count(MEASURED.aggregateEvents)} | ${fixed(cores.aggregate)} |
| cores to encode | ${count(FLEET.rows)} / ${count(MEASURED.encodeRows)} | ${fixed(cores.encode)} |
| cores, were it the stages alone | sum | ${fixed(stages)} |
| cores that are busy | ${count(FLEET.events)} / ${count(MEASURED.wholeEvents)} | ${fixed(busy)} |
| cores that are planned | ${fixed(busy)} / ${PLANNED_SHARE} | ${count(planned)}: ${machines} machines of ${MACHINE_CORES} |
| rows that are live | ${count(FLEET.rows)} x ${ROW_S} s | ${count(liveRows)} |
| memory of the tables | ${count(liveRows)} x ${MEASURED.tableBytesPerRow} B | ${fixed(liveRows * MEASURED.tableBytesPerRow / 1e9)} GB, ${
    fixed(liveRows * MEASURED.tableBytesPerRow / 1e9 / machines)
  } GB a machine |
| into the topic | ${count(FLEET.rows)} x ${MEASURED.messageBytesPerRow} B | ${
    count(FLEET.rows * MEASURED.messageBytesPerRow / 1e6)
  } MB/s before compression |
| burst that a socket's buffer holds | ${BUFFER_BYTES / 1024 / 1024} MiB / ${count(BUFFERED_DATAGRAM_BYTES)} B / (${count(datagrams)} / ${
    Math.ceil(planned)
  }) | ${count(bufferMs)} ms of all that comes to a core |`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function fixed(value: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
