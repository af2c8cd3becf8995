/** What kernel programs told while they were proven at the start: of others' conversations, for whoever observes from then on. */

import type { ProcessEvent, TcpEvent } from "./event.ts";
import type { EventHandlers } from "./kernel.ts";
import type { Audience } from "./known_answer.ts";
import type { UdpRecord } from "./udp_record.ts";

/** Keeps everything in order. */
export class Heard implements Audience {
  #told: ((handlers: EventHandlers) => void)[] = [];
  #udpRecords: UdpRecord[] = [];

  onTcpEvent(event: TcpEvent): void {
    this.#told.push((handlers) => handlers.onTcpEvent(event));
  }

  onProcess(event: ProcessEvent): void {
    this.#told.push((handlers) => handlers.onProcess(event));
  }

  onTestEvent(): void {}

  onUdp(records: readonly UdpRecord[]): void {
    this.#udpRecords.push(...records);
  }

  /** Tells TCP's part again, once. */
  tell(handlers: EventHandlers): void {
    for (const tell of this.#told) tell(handlers);
    this.#told = [];
  }

  /** UDP's part, once. */
  takeUdp(): readonly UdpRecord[] {
    const records = this.#udpRecords;
    this.#udpRecords = [];
    return records;
  }
}
