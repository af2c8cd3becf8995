/** What kernel programs told while they were proven at the start: of others' conversations, for whoever observes from then on. */

import type { ProcessEvent, TcpEvent } from "./event.ts";
import type { Audience } from "./known_answer.ts";
import type { UdpRecord } from "./udp_record.ts";

/** Keeps everything in order, but the test's own connections: the agent has no others at that time. */
export class Heard implements Audience {
  #told: ((audience: Audience) => void)[] = [];
  #udpRecords: UdpRecord[] = [];

  onTcpEvent(event: TcpEvent): void {
    if (event.pid !== Deno.pid) this.#told.push((audience) => audience.onTcpEvent(event));
  }

  onProcess(event: ProcessEvent): void {
    this.#told.push((audience) => audience.onProcess(event));
  }

  onOpen(event: TcpEvent): void {
    if (event.pid !== Deno.pid) this.#told.push((audience) => audience.onOpen(event));
  }

  onUdp(records: readonly UdpRecord[]): void {
    this.#udpRecords.push(...records);
  }

  /** Tells TCP's part again, once. */
  tell(audience: Audience): void {
    for (const tell of this.#told) tell(audience);
    this.#told = [];
  }

  /** UDP's part, once. */
  takeUdp(): readonly UdpRecord[] {
    const records = this.#udpRecords;
    this.#udpRecords = [];
    return records;
  }
}
