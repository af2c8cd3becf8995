/** The agent at work: reads the kernel's reports, keeps the conversations, and sends what they did to the collector. */

import { unixOffsetNs } from "../ffi/libc.ts";
import { log } from "../lib/log.ts";
import type { AgentConfig } from "./config.ts";
import { Conversations } from "./conversations.ts";
import { type AgentCounters, DatagramEncoder, type HostDescription } from "./encode.ts";
import { EVENT_KIND, type SocketOwner, type TcpEvent } from "./event.ts";
import type { Flow } from "./flow.ts";
import type { EventHandlers, KernelPrograms } from "./kernel.ts";
import { ListenerTable } from "./listeners.ts";
import { ProcessTable } from "./processes.ts";
import { CollectorLink } from "./send.ts";

/** How often the ring buffer is read: it has room for far more events than a host makes in that time. */
const POLL_INTERVAL_MS = 50;
/** How often flows are sent. */
const SEND_INTERVAL_MS = 1_000;
/** How often the agent tells its own counters. */
const COUNTERS_INTERVAL_MS = 10_000;
const TCP_LISTEN = 10;

/** What became of everything that the kernel reported, for the log when the agent stops. */
export type AgentLedger = AgentCounters & {
  readonly sent_datagrams: number;
  readonly lost_datagrams: number;
  readonly refused_datagrams: number;
};

export class Observer implements Disposable {
  readonly #kernel: KernelPrograms;
  readonly #config: AgentConfig;
  readonly #link: CollectorLink;
  readonly #encoder: DatagramEncoder;
  readonly #processes: ProcessTable;
  readonly #listeners = new ListenerTable();
  readonly #conversations: Conversations;
  readonly #startedMs = performance.now();
  readonly #handlers: EventHandlers;
  #pending: Flow[] = [];
  #unixOffsetNs = unixOffsetNs();
  #refusalsLogged = 0;

  /** Inert but for the socket to the collector; `run()` acts. */
  constructor(kernel: KernelPrograms, config: AgentConfig, host: HostDescription) {
    this.#kernel = kernel;
    this.#config = config;
    this.#link = new CollectorLink(config.collector);
    this.#encoder = new DatagramEncoder({
      agentAddress: this.#link.localAddress,
      host,
      enterprise: config.enterprise,
      interop: config.interop,
    });
    this.#processes = new ProcessTable(config.serviceRules);
    this.#conversations = new Conversations(this.#processes, this.#listeners, () => this.#unixOffsetNs, (flow) => this.#pending.push(flow));
    this.#handlers = { onTcpEvent: (event) => this.#onTcpEvent(event), onProcess: (event) => this.#processes.add(event) };
  }

  /** Observes until `signal` is aborted, then reports every conversation up to that moment. */
  async run(signal: AbortSignal): Promise<AgentLedger> {
    this.#seed();
    log("info", "agent", "observing", {
      live_sockets: this.#conversations.liveCount,
      release_hook_missing: this.#kernel.releaseHookMissing,
    });
    let nextSendMs = 0, nextInterimMs = performance.now() + this.#config.interimIntervalMs, nextCountersMs = 0;
    while (!signal.aborted) {
      await untilAborted(POLL_INTERVAL_MS, signal);
      this.#drain();
      const nowMs = performance.now();
      if (nowMs >= nextInterimMs) {
        this.#reportOpen();
        nextInterimMs = nowMs + this.#config.interimIntervalMs;
      }
      if (nowMs >= nextSendMs) {
        await this.#send();
        nextSendMs = nowMs + SEND_INTERVAL_MS;
      }
      if (nowMs >= nextCountersMs) {
        await this.#sendCounters();
        nextCountersMs = nowMs + COUNTERS_INTERVAL_MS;
      }
    }
    await this.#finish();
    return this.#ledger();
  }

  /** Finds the sockets that were open before the programs were attached, their owners and what listens. */
  #seed(): void {
    const sockets = this.#kernel.liveSockets();
    const owners = this.#kernel.socketOwners();
    for (const socket of sockets) {
      const owner = owners.get(socket.socket_cookie) ?? null;
      if (socket.state === TCP_LISTEN) this.#listeners.add(socket, owner === null ? null : this.#processes.find(owner));
      else this.#conversations.seed(socket, owner);
    }
  }

  #drain(): void {
    this.#kernel.drain(this.#handlers);
    this.#conversations.expire(performance.now());
  }

  #onTcpEvent(event: TcpEvent): void {
    switch (event.kind) {
      case EVENT_KIND.EVENT_SOCKET_ENDED:
        return this.#conversations.end(event, performance.now());
      case EVENT_KIND.EVENT_SOCKET_OWNED:
        return this.#conversations.own(event);
      case EVENT_KIND.EVENT_LISTEN_STARTED:
        return this.#listeners.add(event, this.#processes.find(event));
      case EVENT_KIND.EVENT_LISTEN_ENDED:
        return this.#listeners.remove(event);
      default:
        throw new TypeError(`Cannot read event: kind ${event.kind} is unknown`);
    }
  }

  #reportOpen(): void {
    this.#kernel.sweep();
    this.#drain();
    const sockets = this.#kernel.liveSockets().filter((socket) => socket.state !== TCP_LISTEN);
    const noOwners: ReadonlyMap<number, SocketOwner> = new Map();
    const owners = sockets.some((socket) => this.#conversations.needsOwner(socket)) ? this.#kernel.socketOwners() : noOwners;
    for (const socket of sockets) this.#conversations.reportOpen(socket, owners.get(socket.socket_cookie) ?? null);
  }

  async #send(): Promise<void> {
    this.#unixOffsetNs = unixOffsetNs();
    const flows = this.#pending;
    if (flows.length === 0) return;
    this.#pending = [];
    const datagrams: { bytes: Uint8Array<ArrayBuffer>; flowCount: number }[] = [];
    this.#encoder.encodeFlows(
      flows,
      this.#uptimeMs(),
      this.#kernel.counters().ring_lost,
      (bytes, flowCount) => datagrams.push({ bytes, flowCount }),
    );
    await this.#link.send(datagrams);
    const { refusals } = this.#link.counts;
    if (refusals > this.#refusalsLogged) {
      log("warn", "agent", "collector does not listen", { refused_datagrams: refusals - this.#refusalsLogged });
    }
    this.#refusalsLogged = refusals;
  }

  async #sendCounters(): Promise<void> {
    const bytes = this.#encoder.encodeCounters(this.#counters(), this.#uptimeMs());
    await this.#link.send([{ bytes, flowCount: 0 }]);
  }

  async #finish(): Promise<void> {
    this.#drain();
    this.#reportOpen();
    this.#drain();
    this.#conversations.expire(Infinity);
    await this.#send();
    await this.#sendCounters();
  }

  #counters(): AgentCounters {
    const kernel = this.#kernel.counters();
    return {
      kernel_events: kernel.events,
      ring_lost_events: kernel.ring_lost,
      map_full_sockets: kernel.map_full,
      flow_records: this.#encoder.flowRecordCount,
      send_lost_records: this.#link.counts.lostFlows,
      opened_connections: kernel.opened,
      ended_connections: kernel.ended,
      unattributed_connections: this.#conversations.unattributedCount,
    };
  }

  #ledger(): AgentLedger {
    const { sentDatagrams, lostDatagrams, refusals } = this.#link.counts;
    return { ...this.#counters(), sent_datagrams: sentDatagrams, lost_datagrams: lostDatagrams, refused_datagrams: refusals };
  }

  #uptimeMs(): number {
    return Math.floor(performance.now() - this.#startedMs);
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }
}

function untilAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}
