/** The agent at work: reads the kernel's reports, keeps the conversations, and sends what they did to the collector. */

import { monotonicNs, unixOffsetNs } from "../ffi/libc.ts";
import { processCpuNs } from "../ffi/libc_process.ts";
import { log } from "../lib/log.ts";
import type { SharedKey } from "../lib/sflow/authentication.ts";
import { Accounts, type AgentLedger } from "./accounts.ts";
import type { AgentConfig } from "./config.ts";
import { Conversations } from "./conversations.ts";
import { CollectorLinks } from "./collector_links.ts";
import type { HostDescription } from "./encode.ts";
import { EVENT_KIND, type TcpEvent } from "./event.ts";
import type { Flow } from "./flow.ts";
import { Governor } from "./governor.ts";
import type { Heard } from "./heard.ts";
import { InterimClock, now, spreadMs } from "./interim_clock.ts";
import type { KernelPrograms } from "./kernel.ts";
import { KernelCost } from "./kernel_cost.ts";
import type { Audience } from "./known_answer.ts";
import { LanedEncoder } from "./lanes.ts";
import { ListenerTable } from "./listeners.ts";
import { OwnTraffic } from "./own_traffic.ts";
import { ProcessTable } from "./processes.ts";
import { SelfTests } from "./self_tests.ts";
import { UdpConversations } from "./udp_conversations.ts";
import { untilAborted } from "./until_aborted.ts";

/**
 * How often the ring buffer is read where no program asks for it, and at what distance at least where they do. In between
 * the distance is such that so many records are read at once.
 */
const DRAIN_INTERVAL_MS = 500, DRAIN_SPACING_MS = 50, DRAIN_RECORDS = 1_024;
/** How often flows are sent. */
const SEND_INTERVAL_MS = 1_000;
/** How often the agent tells its own counters. */
const COUNTERS_INTERVAL_MS = 10_000;
/** How often everything that listens is told. */
const LISTENERS_INTERVAL_MS = 60_000;
/** Flows that are held before they are sent, about. */
const PENDING_FLOWS_MAX = 2_048;
/** How long sending waits for a collector that has to be looked up; the ring buffer has room meanwhile. */
const FIND_COLLECTOR_MS = 200;
/** How often, at most, the open files of all tasks are walked to find who holds connections that have ended. */
const OWNERS_INTERVAL_MS = 1_000;
/** How often, at least, they are walked to see whether open connections were passed on. */
const HOLDERS_INTERVAL_MS = 60_000;
const TCP_LISTEN = 10;

export class Observer implements Disposable {
  readonly #kernel: KernelPrograms;
  #config: AgentConfig;
  readonly #governor: Governor;
  readonly #kernelCost: KernelCost;
  readonly #links: CollectorLinks;
  readonly #encoder: LanedEncoder;
  readonly #processes: ProcessTable;
  readonly #listeners = new ListenerTable();
  readonly #conversations: Conversations;
  readonly #udpConversations: UdpConversations;
  readonly #selfTests: SelfTests;
  /** What became of everything. */
  readonly accounts: Accounts;
  readonly #startedMs = performance.now();
  readonly #audience: Audience;
  readonly #hostId: string;
  readonly #interim = new InterimClock();
  /** Until when flows of open conversations wait for the time of this host. */
  #heldUntilMs = 0;
  /** They are not sent yet: all of a minute is to be sent soon after it. */
  #holdsReport = false;
  #unixOffsetNs = unixOffsetNs();
  #nextOwnersMs = 0;
  #nextHoldersMs = 0;

  /** Inert; `run()` acts. */
  constructor(kernel: KernelPrograms, config: AgentConfig, host: HostDescription, key: SharedKey | null) {
    this.#kernel = kernel;
    this.#config = config;
    this.#hostId = `${host.host_id.toHex()} ${host.host_name}`;
    this.#kernelCost = new KernelCost(kernel.runStatistics());
    this.#governor = new Governor(processCpuNs, () => this.#kernelCost.percent, config.cpuLimitPercent, config.interimIntervalMs);
    const links = this.#links = new CollectorLinks(config.collectors, key);
    const source = {
      get agentAddress() {
        return links.localAddress; // known when a collector is
      },
      host,
      enterprise: config.enterprise,
      interop: config.interop,
      key,
    };
    this.#encoder = new LanedEncoder(source, config.lanes);
    this.#processes = new ProcessTable(config.serviceRules, config.redact);
    const onFlow = (flow: Flow) => this.#encoder.add(flow);
    this.#conversations = new Conversations(this.#processes, this.#listeners, () => this.#unixOffsetNs, onFlow);
    // Of TCP the kernel programs leave out themselves.
    const onUdpFlow = (flow: Flow) => {
      if (this.#governor.keeps(flow)) onFlow(flow);
    };
    this.#udpConversations = new UdpConversations(
      this.#processes,
      () => this.#unixOffsetNs,
      onUdpFlow,
      new OwnTraffic(() => links.ownEnds),
    );
    this.#audience = {
      onTcpEvent: (event) => this.#onTcpEvent(event),
      onProcess: (event) => this.#processes.add(event),
      onTestEvent: (event) => this.accounts.reconciliation.count(event), // the kernel counts it too
    };
    const selfTests = this.#selfTests = new SelfTests(kernel, this.#audience, this.#udpConversations);
    this.accounts = new Accounts({
      kernel,
      selfTests,
      links,
      encoder: this.#encoder,
      governor: this.#governor,
      kernelCost: this.#kernelCost,
      conversations: this.#conversations,
    });
  }

  /** Puts into force what can be changed at run time. */
  configure(config: AgentConfig): void {
    this.#config = config;
    this.#processes.configure(config.serviceRules, config.redact);
    this.#governor.configure(config.cpuLimitPercent, config.interimIntervalMs);
    this.#links.redirect(config.collectors);
  }

  /**
   * Observes until `signal` is aborted, then reports every conversation up to that moment.
   *
   * @param heard What the programs told before.
   * @param onObserving Called once everything is loaded, attached and read that needs privileges.
   */
  async run(signal: AbortSignal, heard: Heard, onObserving: () => void): Promise<AgentLedger> {
    await this.#findCollector(signal);
    heard.tell(this.#audience);
    if (this.#kernel.udp !== null) {
      const sockets = this.#kernel.udp.sockets();
      this.#udpConversations.seed(sockets);
      this.#udpConversations.report(heard.takeUdp(), sockets);
    }
    await this.#reportOpen();
    onObserving();
    log("info", "agent", "observing", {
      found_sockets: this.#kernel.counters().found,
      release_hook_missing: this.#kernel.releaseHookMissing,
      udp_missing: this.#kernel.udpMissing,
      udp_amounts_known: this.#kernel.udp?.amountsKnown ?? false,
    });
    let nextSendMs = 0, nextCountersMs = 0, nextListenersMs = 0, waitMs = DRAIN_INTERVAL_MS;
    signal.addEventListener("abort", () => this.#kernel.interrupt(), { once: true });
    while (!signal.aborted) {
      const drainedMs = performance.now();
      await this.#kernel.wait(Math.min(waitMs, Math.max(0, this.#msUntilInterim())));
      const restMs = Math.min(drainedMs + DRAIN_SPACING_MS - performance.now(), this.#msUntilInterim());
      if (restMs > 0) await untilAborted(restMs, signal);
      waitMs = nextWaitMs(this.#drain(), performance.now() - drainedMs);
      const nowMs = performance.now();
      this.#kernelCost.tick(nowMs);
      if (this.#governor.tick(nowMs)) this.#onStep();
      if (this.#msUntilInterim() <= 0) await this.#reportInterim();
      if (nowMs >= nextSendMs || this.#encoder.pendingFlowCount >= PENDING_FLOWS_MAX) {
        if (this.#kernel.udp?.isFilling) this.#reportUdp();
        await this.#findCollector(signal);
        if (nowMs >= this.#heldUntilMs || this.#encoder.pendingFlowCount >= PENDING_FLOWS_MAX) await this.#send(this.#holdsReport);
        await this.#sendListeners(nowMs >= nextListenersMs);
        if (nowMs >= nextListenersMs) nextListenersMs = nowMs + LISTENERS_INTERVAL_MS;
        nextSendMs = nowMs + SEND_INTERVAL_MS;
      }
      if (this.#selfTests.isDue(nowMs)) this.#selfTests.run(nowMs, this.#governor.step.keepOneIn);
      if (nowMs >= nextCountersMs) {
        await this.#sendCounters();
        nextCountersMs = nowMs + COUNTERS_INTERVAL_MS;
      }
    }
    await this.#finish();
    return this.accounts.ledger();
  }

  async #findCollector(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    if (this.#links.isDue(nowMs)) await Promise.race([this.#links.find(nowMs), untilAborted(FIND_COLLECTOR_MS, signal)]);
    this.#links.probe(nowMs, () => this.#encoder.encodeProbe(this.#uptimeMs()));
  }

  /** Returns the number of records that it read. */
  #drain(): number {
    const records = this.#kernel.drain(this.#audience);
    const nowMs = performance.now();
    if (nowMs < this.#nextOwnersMs || !this.#conversations.isDue(nowMs)) return records;
    this.#expire(nowMs);
    this.#nextOwnersMs = nowMs + OWNERS_INTERVAL_MS;
    return records;
  }

  /** Looks for processes that still hold connections which have ended, before it lets those go that nobody closed in time. */
  #expire(nowMs: number): void {
    if (!this.#conversations.isDue(nowMs)) return;
    this.#kernel.findOwners();
    this.#kernel.drain(this.#audience);
    this.#conversations.expire(nowMs);
  }

  #onTcpEvent(event: TcpEvent): void {
    this.accounts.reconciliation.count(event);
    switch (event.kind) {
      case EVENT_KIND.EVENT_SOCKET_ENDED:
        return this.#conversations.end(event, performance.now());
      case EVENT_KIND.EVENT_SOCKET_OWNED:
        return this.#conversations.own(event);
      case EVENT_KIND.EVENT_LISTEN_STARTED:
        return this.#listeners.add(event, this.#processes.find(event), this.#unixUs());
      case EVENT_KIND.EVENT_LISTEN_ENDED:
        return this.#listeners.remove(event, this.#unixUs());
      default:
        throw new TypeError(`Cannot read event: kind ${event.kind} is unknown`);
    }
  }

  #msUntilInterim(): number {
    return this.#interim.msUntilDue(now(), this.#governor.step.interimIntervalMs);
  }

  /** Reports all that goes on, to be sent at this host's own time. */
  async #reportInterim(): Promise<void> {
    this.#unixOffsetNs = unixOffsetNs();
    const udp = this.#kernel.udp?.take() ?? []; // now, however long the walk takes
    await this.#reportOpen();
    this.#reportUdp(udp);
    this.#interim.reported(now());
    if (this.#holdsReport) return; // it goes with the one before: with short intervals, none would ever be due
    this.#holdsReport = true;
    this.#heldUntilMs = performance.now() + spreadMs(this.#hostId, this.#governor.step.interimIntervalMs ?? 0);
  }

  /** Reports what open connections did; at first it finds those that are older than the agent, and what listens. */
  async #reportOpen(): Promise<void> {
    this.accounts.reconciliation.readIfDue();
    this.#kernel.sweep();
    this.#drain();
    const nowMs = performance.now();
    if (nowMs >= this.#nextHoldersMs || this.#kernel.counters().unowned > 0) {
      this.#kernel.findOwners();
      this.#nextHoldersMs = nowMs + HOLDERS_INTERVAL_MS;
      this.accounts.reconciliation.meet(this.#kernel.namespaces);
    }
    for (const event of this.#kernel.walkOpen()) {
      // Its owner's description may be in the ring still; /proc would tell of what the process runs by now.
      if (!this.#processes.isDescribed(event)) this.#kernel.drain(this.#audience);
      this.#onOpen(event);
      if (this.#encoder.pendingFlowCount < PENDING_FLOWS_MAX) continue;
      await this.#send(false); // a host may have very many
      this.#drain();
    }
    this.#kernel.drain(this.#audience);
    this.accounts.reconciliation.walked();
  }

  #onOpen(event: TcpEvent): void {
    this.accounts.reconciliation.count(event);
    if (event.state === TCP_LISTEN) this.#listeners.add(event, this.#processes.find(event), this.#unixUs());
    else this.#conversations.reportOpen(event);
  }

  /** Has the self-test run at once, and not only when it is due. */
  askSelfTest(): void {
    this.#selfTests.ask();
  }

  /** Processes first: they described themselves before their flows began. */
  #reportUdp(records = this.#kernel.udp?.take() ?? []): void {
    const { udp } = this.#kernel;
    if (udp === null) return;
    this.#drain();
    this.#udpConversations.report(records, udp.sockets());
  }

  /** @param isAll Whether no flow may wait for others that go with it. */
  async #send(isAll: boolean): Promise<void> {
    this.#unixOffsetNs = unixOffsetNs();
    if (isAll) this.#holdsReport = false;
    if (this.#encoder.pendingFlowCount === 0) return;
    await this.#links.send(this.#encoder.flush(this.#uptimeMs(), this.accounts.laneLosses(), isAll));
  }

  #onStep(): void {
    const { step, stepIndex, cpuPercent } = this.#governor;
    this.#kernel.keepOneIn(step.keepOneIn);
    if (step.keepOneIn > 1) this.accounts.reconciliation.suspend();
    log("warn", "agent", "governor changed step", {
      step: step.name,
      step_index: stepIndex,
      cpu_percent: Math.round(cpuPercent * 100) / 100,
      kernel_percent: Math.round((this.#kernelCost.percent ?? 0) * 100) / 100,
      cpu_limit_percent: this.#config.cpuLimitPercent,
    });
  }

  async #sendCounters(): Promise<void> {
    const { accounts } = this;
    await this.#links.send(this.#encoder.encodeCounters((unsent) => accounts.records(unsent), this.#uptimeMs(), accounts.laneLosses()));
  }

  async #finish(): Promise<void> {
    this.#drain();
    this.accounts.reconciliation.read();
    await this.#reportOpen();
    this.#reportUdp();
    this.#drain();
    this.#expire(Infinity);
    await this.#send(true);
    await this.#sendListeners(true);
    await this.#sendCounters();
  }

  /** Sends what began and ended to listen, and from time to time all that listens. */
  async #sendListeners(isAllDue: boolean): Promise<void> {
    const listeners = isAllDue ? this.#listeners.takeAll(this.#unixUs()) : this.#listeners.takeChanges();
    await this.#links.send(this.#encoder.encodeListeners(listeners, this.#uptimeMs()));
  }

  #unixUs(): number {
    return Math.round((monotonicNs() + this.#unixOffsetNs) / 1_000);
  }

  #uptimeMs(): number {
    return Math.floor(performance.now() - this.#startedMs);
  }

  [Symbol.dispose](): void {
    this.#kernelCost[Symbol.dispose]();
    this.#links[Symbol.dispose]();
  }
}

/** How long to wait so that about DRAIN_RECORDS come, if as many come as in the last while. */
function nextWaitMs(records: number, elapsedMs: number): number {
  return Math.max(DRAIN_SPACING_MS, Math.min(DRAIN_INTERVAL_MS, elapsedMs * DRAIN_RECORDS / Math.max(1, records)));
}
