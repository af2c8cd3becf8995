/** What became of everything that the kernel reported: for the log, for Prometheus, and for the datagrams themselves. */

import type { Conversations } from "./conversations.ts";
import { counterRecords } from "./counter_records.ts";
import type { CollectorLinks } from "./collector_links.ts";
import type { AgentCounters, CounterRecord } from "./encode.ts";
import type { Governor } from "./governor.ts";
import type { KernelPrograms } from "./kernel.ts";
import type { KernelCost } from "./kernel_cost.ts";
import type { LanedEncoder, LaneLosses } from "./lanes.ts";
import type { AgentLosses } from "../lib/sflow/agent_losses.ts";
import { droppedEvents, kernelLosses } from "./losses.ts";
import { Reconciliation } from "./reconcile.ts";
import type { SelfTests } from "./self_tests.ts";
import type { UdpCounters } from "./udp_kernel.ts";

/** Totals since the agent started. */
export type AgentLedger = AgentCounters & AgentLosses & {
  /** The sum of the losses, as the next datagram has it. */
  readonly dropped_events: number;
  readonly sent_datagrams: number;
  readonly lost_datagrams: number;
  readonly refused_datagrams: number;
  readonly resolve_failures: number;
  readonly collector_leaves: number;
  readonly ignored_answers: number;
  readonly governor_step_changes: number;
  readonly self_tests: number;
  readonly self_test_failures: number;
} & Partial<UdpCounters>; // absent where UDP is not observed

/** The agent at this moment. */
export interface AgentGauges {
  readonly live_sockets: number;
  readonly governor_step: number;
  readonly cpu_percent: number;
  readonly kernel_percent: number;
}

/** Whoever counts something. */
export interface Counting {
  readonly kernel: KernelPrograms;
  readonly encoder: LanedEncoder;
  readonly links: CollectorLinks;
  readonly conversations: Conversations;
  readonly governor: Governor;
  readonly kernelCost: KernelCost;
  readonly selfTests: SelfTests;
}

/** Reads what the parts of the agent count, each time anew. */
export class Accounts {
  readonly #of: Counting;
  readonly reconciliation = new Reconciliation();

  constructor(of: Counting) {
    this.#of = of;
  }

  /** What was lost so far, by place. */
  #losses(): AgentLosses {
    const { kernel, governor, links } = this.#of;
    const leftOut = kernel.counters().left_out + governor.droppedFlows;
    return { ...kernelLosses(kernel), governor_dropped_flows: leftOut, send_lost_records: links.counts.lostFlows };
  }

  /** What the drops of the next flow samples are made of. */
  laneLosses(): LaneLosses {
    const { links } = this.#of;
    return { otherDrops: droppedEvents({ ...this.#losses(), send_lost_records: 0 }), unsentOf: (subAgent) => links.unsentOf(subAgent) };
  }

  /** The records of lane 0's counters sample; of what could not be sent, `unsent` flow records were lane 0's. */
  records(unsent: number): CounterRecord[] {
    return counterRecords(
      this.#counters(),
      { ...this.#losses(), send_lost_records: unsent },
      this.#of.kernel.udp?.counters(),
      this.reconciliation.totals(),
    );
  }

  ledger(): AgentLedger {
    const { links, governor, selfTests, kernel } = this.#of;
    const losses = this.#losses();
    const { sentDatagrams, lostDatagrams, refusals, resolveFailures, leaves, ignoredAnswers } = links.counts;
    return {
      ...this.#counters(),
      ...losses,
      dropped_events: droppedEvents(losses),
      sent_datagrams: sentDatagrams,
      lost_datagrams: lostDatagrams,
      refused_datagrams: refusals,
      resolve_failures: resolveFailures,
      collector_leaves: leaves,
      ignored_answers: ignoredAnswers,
      governor_step_changes: governor.stepChanges,
      self_tests: selfTests.runs,
      self_test_failures: selfTests.failures,
      ...kernel.udp?.counters(),
    };
  }

  gauges(): AgentGauges {
    const { kernel, governor, kernelCost } = this.#of;
    const { found, opened, ended } = kernel.counters();
    return {
      live_sockets: found + opened - ended,
      governor_step: governor.stepIndex,
      cpu_percent: governor.cpuPercent,
      kernel_percent: kernelCost.percent ?? NaN,
    };
  }

  #counters(): AgentCounters {
    const { kernel, encoder, links, conversations } = this.#of, { events, ring_lost, map_full, opened, ended } = kernel.counters();
    return {
      kernel_events: events,
      ring_lost_events: ring_lost,
      map_full_sockets: map_full,
      flow_records: encoder.flowRecordCount,
      send_lost_records: links.counts.lostFlows,
      opened_connections: opened,
      ended_connections: ended,
      unattributed_connections: conversations.unattributedCount,
    };
  }
}
