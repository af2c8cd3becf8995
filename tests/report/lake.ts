/** Lakes of services that talk with each other as a test says, by way of a topic and the ETL job, for reports. */

import { runEtl } from "../../jobs/etl.ts";
import { encodeFlowBatch } from "../../lib/flow_batch.ts";
import { flowBatch } from "../../lib/testdata/flow_batch.ts";
import { openProducer } from "../../lib/topic/open.ts";

/** 2026-01-02 03:04 UTC. */
const START_US = 1_767_323_040_000_000;
const MESSAGE_ROWS = 500;

/** Client and server, as places in a list of names. */
export type Pair = readonly [client: number, server: number];

/** Path of a lake with a conversation for each pair, told by the client. */
export async function lakeOf(folder: string, names: readonly string[], pairs: readonly Pair[]): Promise<string> {
  const topic = `sqlite:${folder}/topic.db`, lake = `${folder}/lake`;
  {
    await using producer = await openProducer(`${topic}?partitions=1`);
    for (let first = 0; first < pairs.length; first += MESSAGE_ROWS) {
      const value = message(names, pairs.slice(first, first + MESSAGE_ROWS), first);
      await producer.publish([{ partition: 0, value }]);
    }
  }
  await runEtl(topic, lake);
  return lake;
}

function message(names: readonly string[], pairs: readonly Pair[], first: number): Uint8Array {
  const rowCount = pairs.length, batch = flowBatch(rowCount, 1), dictionary = [...new Set(pairs.flat())];
  const places = new Map(dictionary.map((name, i) => [name, i]));
  const ends = (end: 0 | 1) => pairs.map((pair) => pair[end]);
  const name = (end: 0 | 1) => ({
    codes: Int32Array.from(ends(end), (of) => places.get(of)!),
    dictionary: dictionary.map((of) => names[of]!),
  });
  const texts = (of: (end: number) => string, end: 0 | 1) => ({
    codes: Int32Array.from(ends(end), (of) => places.get(of)!),
    dictionary: dictionary.map(of),
  });
  const all = (text: string) => ({ codes: new Int32Array(rowCount), dictionary: [text] });
  const numbers = (value: (row: number) => number) => ({ values: BigInt64Array.from(pairs, (_, row) => BigInt(value(first + row))) });
  const time = () => numbers((row) => START_US + (row % 600) * 1_000_000);
  const columns = {
    ...batch.columns,
    window_start: time(),
    window_end: time(),
    observer_role: all("client"),
    flow_source: all("skyfall"),
    network_transport: all("tcp"),
    client_ip: { bytes: addresses(ends(0)) },
    server_ip: { bytes: addresses(ends(1)) },
    client_address: texts(addressText, 0),
    server_address: texts(addressText, 1),
    server_port: { values: Int32Array.from(ends(1), (server) => 1_024 + server) },
    client_service_name: name(0),
    server_service_name: name(1),
    bytes_sent: numbers((row) => 100 + row),
    bytes_received: numbers(() => 1_000),
    connections_opened: numbers(() => 2),
    connections_failed_refused: numbers(() => 0),
  };
  return encodeFlowBatch({ rowCount, columns });
}

/** 10.7.x.y of the place in the list. */
function addressText(place: number): string {
  return `10.7.${place >> 8}.${place & 255}`;
}

function addresses(places: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16 * places.length);
  places.forEach((place, i) => bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 7, place >> 8, place & 255], 16 * i));
  return bytes;
}
