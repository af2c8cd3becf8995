/** Counters and gauges as text for Prometheus; every value is set anew before each scrape. */

import { Counter, Gauge, Registry } from "prom-client";

/** One value of a metric, under its labels. */
export interface MetricValue<L extends string = string> {
  readonly labels: Readonly<Record<L, string | number>>;
  readonly value: number;
}

/** Metrics of one program. */
export class MetricSet {
  readonly #registry = new Registry();

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Adds a counter without labels, and returns what sets it. */
  counter(name: string, help: string): (value: number) => void {
    const counter = new Counter({ name, help, registers: [this.#registry] });
    return (value) => {
      counter.reset();
      counter.inc(value);
    };
  }

  gauge(name: string, help: string): (value: number) => void {
    const gauge = new Gauge({ name, help, registers: [this.#registry] });
    return (value) => gauge.set(value);
  }

  /** Adds a counter with labels; setting it drops the values of before. */
  labelledCounter<L extends string>(name: string, help: string, labelNames: readonly L[]): (values: readonly MetricValue<L>[]) => void {
    const counter = new Counter<string>({ name, help, labelNames, registers: [this.#registry] });
    return (values) => {
      counter.reset();
      for (const { labels, value } of values) counter.inc(labels, value);
    };
  }

  labelledGauge<L extends string>(name: string, help: string, labelNames: readonly L[]): (values: readonly MetricValue<L>[]) => void {
    const gauge = new Gauge<string>({ name, help, labelNames, registers: [this.#registry] });
    return (values) => {
      gauge.reset();
      for (const { labels, value } of values) gauge.set(labels, value);
    };
  }

  /** The text of all values. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
