/**
 * The rows of bench/flow_generator.ts written straight into a lake's table `flow`: 100 M rows in minutes, without a topic.
 *
 *     deno run -A bench/flow_lake.ts FOLDER [ROWS [MINUTES [SEED]]]      # stopped, it goes on at the hour that it was at
 */

import { Database } from "../jobs/duckdb.ts";
import { SORTED_TAG, sortedTag } from "../jobs/compact/plan.ts";
import { append } from "../jobs/lake/append.ts";
import { writeDataFile } from "../jobs/lake/data_file.ts";
import { prepareLake } from "../jobs/lake/prepare.ts";
import { readTable, tableDirectory } from "../jobs/lake/table.ts";
import { FLOW } from "../jobs/lake/tables.ts";
import { sqlText } from "../jobs/sql_text.ts";
import { Progress } from "../jobs/progress.ts";
import { FLOW_COLUMNS, FLOW_SCHEMA_VERSION } from "../lib/records.ts";
import {
  conversationsAMinute,
  Fleet,
  type FlowEdge,
  type FlowShape,
  hostOf,
  INSTANCES,
  MESSAGE_CONVERSATIONS,
  MINUTE_US,
  rowsOf,
  SEED_STEP,
  serviceName,
  SERVICES,
  SLOTS,
  START_US,
} from "./flow_generator.ts";
import { INDEX_STEP } from "./flow_messages.ts";

const HOUR_MINUTES = 60;

/** `mix()` of the generator. */
const mixSql = (x: string) => `((${x} % 46337) * (${x} % 44449) + 31 * ${x}) % 2147483647`;

/** Columns of the generator's rows, from a conversation `c`, its slot `e`, its hosts `o` (the observer), `client` and `server`. */
const VALUES: Readonly<Record<string, string>> = {
  window_start: "make_timestamptz(c.start_us + c.later)",
  window_end: "make_timestamptz(c.start_us + c.later + 1 + c.c % 9000000)",
  observer_host_id: "o.id",
  observer_host_name: "o.name",
  observer_boot_id: "o.bootId",
  observer_address: "o.addressText",
  observer_role: "if(c.is_server, 'server', 'client')",
  direction_source: "if(c.is_server, 'accept', 'connect')",
  attribution_source: "if(c.is_server, 'accept', 'connect')",
  network_transport: "'tcp'",
  network_type: "'ipv4'",
  client_address: "client.addressText",
  server_address: "server.addressText",
  client_ip: "client.ip",
  server_ip: "server.ip",
  server_port: "c.port",
  client_ports: "[32768 + c.c % 20000 + i * (1 + c.b % 2000) for i in range(if(c.is_pooled = 1, 4, c.opened))]",
  client_port_count: "if(c.is_pooled = 1, 4, c.opened)",
  client_service_name: "if(c.is_server, null, o.service)",
  server_service_name: "if(c.is_server, o.service, null)",
  client_process_executable_name: "if(c.is_server, null, o.executable)",
  server_process_executable_name: "if(c.is_server, o.executable, null)",
  process_pid: "o.pid",
  process_executable_path: "o.path",
  process_command_line: "o.commandLine",
  process_user_id: "o.userId",
  process_cgroup: "o.cgroup",
  process_network_namespace: "o.networkNamespace",
  bytes_sent: "c.events * (200 + c.b % 2000)",
  bytes_received: "c.bytes_received",
  segments_sent: "3 * c.events + c.bytes_received // 2896",
  segments_received: "2 * c.events + c.bytes_received // 1448",
  retransmits: "c.retransmits",
  bytes_retrans: "1448 * c.retransmits",
  lost: "c.retransmits",
  busy_us: "c.events * (c.b % 5000)",
  connections_opened: "c.opened",
  connections_closed: "c.opened",
  connections_failed_refused: "if(not c.is_server and c.b % 997 = 0, 1, 0)",
  srtt_us_sum: "c.events * (c.srtt_us + c.later)",
  srtt_samples: "c.events",
  srtt_us_min: "c.srtt_us - c.b % 50 + c.later",
  srtt_us_max: "c.srtt_us + c.b % 300 + c.later",
  rttvar_us_sum: "c.events * (c.srtt_us // 4)",
  min_rtt_us: "c.srtt_us - c.b % 50 + c.later",
  connect_us_sum: "c.opened * c.srtt_us",
  connect_samples: "c.opened",
  connect_us_max: "if(c.opened > 0, c.srtt_us + c.b % 300, null)",
  snd_cwnd_sum: "10 * c.events",
  snd_cwnd_min: "10",
  event_count: "c.events",
  flow_source: "'skyfall'",
  sampling_rate: "1",
  reporter: "'both'",
  peer_bytes_sent: "c.events * (200 + c.b % 2000)",
  peer_bytes_received: "c.bytes_received",
  schema_version: String(FLOW_SCHEMA_VERSION),
  src_topic: "'generated'",
  src_partition: "0",
  src_offset: "c.message",
  src_index: "c.i",
  ingest_time: "timestamptz '2026-01-03 00:00:00+00'",
};

/**
 * Makes `lake/flow` of a file and a commit an hour, as compaction leaves them, with the rows that `flowMessages(shape)` has, and their
 * offsets and indexes there; topic and time of ingestion are made up. Hours that the lake has stay.
 */
export async function writeFlowLake(shape: FlowShape, lake: string): Promise<void> {
  await prepareLake(lake);
  const directory = tableDirectory(lake, FLOW);
  using database = await Database.open({ memoryLimit: "4GB", temporaryDirectory: `${lake}/_staging` });
  await makeFleet(database, shape.seed, directory);
  let snapshot = await readTable(directory, FLOW, database);
  const hours = Math.ceil(shape.minutes / HOUR_MINUTES), progress = new Progress("generate", hours, "hours");
  for (let hour = Number(snapshot.version) + 1; hour < hours; hour++) {
    const first = hour * HOUR_MINUTES, start = new Date((START_US + first * MINUTE_US) / 1_000).toISOString();
    const add = await writeDataFile(database, directory, FLOW, {
      select: selectMinutes(shape, first, Math.min(first + HOUR_MINUTES, shape.minutes)),
      name: "part-generated",
      partition: { date: start.slice(0, 10), hour: String(Number(start.slice(11, 13))) },
      tags: { [SORTED_TAG]: sortedTag(FLOW) },
    });
    const commit = { operation: "STREAMING UPDATE", parameters: {}, adds: [add], transactions: new Map() };
    const committed = await append(directory, FLOW, snapshot, commit, database);
    if (committed === null) throw new Error(`Cannot make lake "${lake}": somebody else is at it`);
    snapshot = committed;
    progress.advance(1);
  }
  progress.end();
}

/** Rows of minutes `first` to before `end`, as a select in the order of `FLOW.sortColumns`. */
function selectMinutes(shape: FlowShape, first: number, end: number): string {
  const perMinute = conversationsAMinute(shape), rowsAMinute = 2 * perMinute, messageRows = 2 * MESSAGE_CONVERSATIONS;
  const messages = Math.ceil(rowsAMinute / messageRows);
  const values = FLOW_COLUMNS.map(({ name, type }) => `cast(${VALUES[name] ?? "0"} as ${type}) as ${name}`);
  return `
    with places as (
      select row // ${rowsAMinute} as minute, row % ${rowsAMinute} // ${messageRows} as part, row % ${rowsAMinute} % ${messageRows} as i,
        least(${messageRows}, ${rowsAMinute} - part * ${messageRows}) // 2 as n,
        i * if(n % ${INDEX_STEP} = 0, 1, ${INDEX_STEP}) % (2 * n) as place
      from range(${first * rowsAMinute}, ${end * rowsAMinute}) rows(row)
    ), numbers as (
      select *, minute * ${perMinute} + part * ${MESSAGE_CONVERSATIONS} + place % n as k,
        (k * 48271 + ${shape.seed * SEED_STEP}) % 2147483647 as x, ${mixSql("x")} as a, ${mixSql("a")} as b, ${mixSql("b")} as c
      from places
    ), ends as (
      select *, place >= n as is_server, if(is_server, 7, 0) as later, minute * ${messages} + part as message
      from numbers
    ), conversations as (
      select ends.*, if(is_server, slot.server_rank, slot.client_rank) as rank, slot.port, slot.is_pooled, if(slot.is_pooled = 1, 0, 1 + c % 4) as opened, if(slot.is_pooled = 1, 6, opened) as events,
        events * (500 + c % 20000) as bytes_received, slot.rtt_us + c % 200 as srtt_us,
        ${START_US} + minute * ${MINUTE_US} + b % 50000000 as start_us,
        if(is_server, if(b % 101 < 2, 1, 0), if(c % 101 < 3, 1 + c % 3, 0)) as retransmits,
        slot.client * ${INSTANCES} + a // ${SLOTS} % ${INSTANCES} as client_host, slot.server * ${INSTANCES} + b % ${INSTANCES} as server_host
      from ends join slot on slot.number = ends.a % ${SLOTS}
      order by is_server desc, rank, slot.port, start_us + later
    )
    select ${values.join(", ")} from conversations c
    join host client on client.host = c.client_host
    join host server on server.host = c.server_host
    join host o on o.host = if(c.is_server, c.server_host, c.client_host)`;
}

/** Tables `slot` and `host`. */
async function makeFleet(database: Database, seed: number, directory: string): Promise<void> {
  const fleet = new Fleet(seed), edges = Array.from({ length: SLOTS }, (_, slot) => fleet.edgeOfSlot(slot));
  await database.run(`create or replace table slot (number integer, client integer, server integer, client_rank integer,
    server_rank integer, port integer, is_pooled integer, rtt_us integer)`);
  const appender = await database.appender("slot", Array(8).fill("INTEGER"));
  const ranks = new Int32Array(SERVICES),
    byName = Array.from({ length: SERVICES }, (_, service) => ({ service, name: serviceName(service) }));
  byName.sort((a, b) => (a.name < b.name ? -1 : 1)).forEach(({ service }, rank) => ranks[service] = rank);
  const integers = (of: (edge: FlowEdge, slot: number) => number) => ({ values: Int32Array.from(edges, of) });
  appender.append(SLOTS, [
    integers((_, slot) => slot),
    integers(({ client }) => client),
    integers(({ server }) => server),
    integers(({ client }) => ranks[client]!),
    integers(({ server }) => ranks[server]!),
    integers(({ port }) => port),
    integers(({ isPooled }) => Number(isPooled)),
    integers(({ rttUs }) => rttUs),
  ]);
  appender.close();
  const file = `${directory}/hosts.ndjson`;
  const hosts = Array.from({ length: SERVICES * INSTANCES }, (_, host) => JSON.stringify(hostOf(host)) + "\n");
  await Deno.writeTextFile(file, hosts.join(""));
  await database.run(`create or replace table host as select *, unhex(format('00000000000000000000ffff{:08x}', address)) as ip
    from read_json(${
    sqlText(file)
  }, format = 'newline_delimited', columns = {host: 'INTEGER', id: 'VARCHAR', name: 'VARCHAR', bootId: 'VARCHAR',
      address: 'BIGINT', addressText: 'VARCHAR', service: 'VARCHAR', executable: 'VARCHAR', pid: 'INTEGER', path: 'VARCHAR',
      commandLine: 'VARCHAR', userId: 'INTEGER', cgroup: 'VARCHAR', networkNamespace: 'BIGINT'})`);
  await Deno.remove(file);
}

if (import.meta.main) {
  const [lake, rows = "1000000", minutes = "1440", seed = "1"] = Deno.args;
  if (lake === undefined) throw new Error("Cannot write a lake: no folder, needed flow_lake.ts FOLDER [ROWS [MINUTES [SEED]]]");
  const shape = { rows: Number(rows), minutes: Number(minutes), seed: Number(seed) };
  await writeFlowLake(shape, lake);
  console.log(`${rowsOf(shape)} rows in "${lake}"`);
}
