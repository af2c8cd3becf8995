/** One `skyfall_flow` in memory whose fields a bench sets, for what feeds a table without datagrams. */

import { SKYFALL_FLOW } from "../lib/sflow/skyfall.gen.ts";

const F = SKYFALL_FLOW.fields;

/** An IPv4 TCP flow between two hosts. */
export interface EventFields {
  readonly isServer: boolean;
  /** IPv4 addresses as numbers. */
  readonly client: number;
  readonly server: number;
  readonly clientPort: number;
  readonly serverPort: number;
  readonly startUnixUs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export class FlowEventBuffer {
  readonly view = new DataView(new ArrayBuffer(SKYFALL_FLOW.fixedSize));

  constructor() {
    const view = this.view;
    for (const { offset } of [F.local_address, F.remote_address]) view.setUint32(offset + 8, 0xffff);
    for (const [field, value] of [[F.transport_protocol, 6], [F.role_source, 1], [F.attribution_source, 1], [F.state, 7]] as const) {
      view.setUint32(field.offset, value);
    }
    for (const [field, value] of [[F.end_reason, 1], [F.opened_count, 1], [F.amounts_known, 3], [F.srtt_us, 200]] as const) {
      view.setUint32(field.offset, value);
    }
    view.setUint32(F.snd_cwnd_segments.offset, 10);
  }

  set({ isServer, client, server, clientPort, serverPort, startUnixUs, sentBytes, receivedBytes }: EventFields): void {
    const view = this.view;
    view.setUint32(F.role.offset, isServer ? 2 : 1);
    view.setUint32(F.local_address.offset + 12, isServer ? server : client);
    view.setUint32(F.remote_address.offset + 12, isServer ? client : server);
    view.setUint32(F.local_port.offset, isServer ? serverPort : clientPort);
    view.setUint32(F.remote_port.offset, isServer ? clientPort : serverPort);
    this.#u64(F.period_start_unix_us.offset, startUnixUs);
    this.#u64(F.period_end_unix_us.offset, startUnixUs + 1_000);
    this.#u64(F.tx_bytes.offset, isServer ? receivedBytes : sentBytes);
    this.#u64(F.rx_bytes.offset, isServer ? sentBytes : receivedBytes);
  }

  #u64(offset: number, value: number): void {
    this.view.setUint32(offset, value / 2 ** 32);
    this.view.setUint32(offset + 4, value);
  }
}
