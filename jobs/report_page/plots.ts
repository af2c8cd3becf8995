/// <reference lib="dom" />
/** Plots over time, and of what is greatest (Chart.js). */

import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartOptions,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
} from "chart.js";
import type { ReportData, ReportTable } from "../report/report_data.ts";
import { bytesText, scaled } from "../unit_text.ts";
import { byId, canvas, shortName } from "./dom.ts";
import { colourOf } from "./map_style.ts";

Chart.register(BarController, BarElement, CategoryScale, Filler, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip);

const DAY_MS = 86_400_000;
const BARS_MAX = 20;
const NAME_MAX = 32;
const GREY = "#94a3b8", RED = "#b42318", BLUE = "#1d5fa8", AMBER = "#b7791f";
const rate = (value: number) => `${bytesText(value)}/s`;

/** @param onService Of a click on a service's bar. */
export function drawPlots(data: ReportData, onService: (name: string) => void): void {
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  drawTraffic(data);
  drawQuality(data);
  const talkers = data.tables.find(({ name }) => name === "talkers");
  if (talkers !== undefined) drawServices(talkers, onService);
  drawCapacity(data.tables.find(({ name }) => name === "capacity"));
}

function timeLabels({ fromMs, toMs, traffic: { stepMs } }: ReportData): string[] {
  const steps = Math.ceil((toMs - fromMs) / stepMs);
  return Array.from({ length: steps }, (_, i) => {
    const text = new Date(fromMs + i * stepMs).toISOString();
    return toMs - fromMs > DAY_MS ? text.slice(5, 16).replace("T", " ") : text.slice(11, 16);
  });
}

function drawTraffic(data: ReportData): void {
  const { servers } = data.traffic;
  new Chart(canvas("traffic-plot"), {
    type: "line",
    data: {
      labels: timeLabels(data),
      datasets: servers.map(({ name, bytesPerSecond }, i) => ({
        label: shortName(name, NAME_MAX),
        data: [...bytesPerSecond],
        fill: i === 0 ? "origin" : "-1",
        borderWidth: 1,
        pointRadius: 0,
        borderColor: i === servers.length - 1 && i > 7 ? GREY : colourOf(i),
        backgroundColor: i === servers.length - 1 && i > 7 ? "#cbd5e1" : colourOf(i).replace("hsl(", "hsla(").replace(")", ", 0.55)"),
      })),
    },
    options: overTime(rate, true),
  });
}

function drawQuality(data: ReportData): void {
  const { connectionsPerSecond, failedPerSecond, retransmitsPerSecond } = data.traffic;
  const line = (label: string, values: readonly number[], borderColor: string) => ({
    label,
    data: [...values],
    borderColor,
    backgroundColor: borderColor,
    borderWidth: 1.5,
    pointRadius: 0,
  });
  new Chart(canvas("quality-plot"), {
    type: "line",
    data: {
      labels: timeLabels(data),
      datasets: [
        line("connections", connectionsPerSecond, BLUE),
        line("failed connections", failedPerSecond, RED),
        line("retransmissions", retransmitsPerSecond, AMBER),
      ],
    },
    options: overTime((value) => scaled(value, "/s"), false),
  });
}

function overTime(text: (value: number) => string, isStacked: boolean): ChartOptions<"line"> {
  return {
    interaction: { mode: "index", intersect: false },
    scales: {
      x: { ticks: { maxTicksLimit: 12, maxRotation: 0 }, grid: { display: false } },
      y: { stacked: isStacked, beginAtZero: true, ticks: { callback: (value) => text(Number(value)) } },
    },
    plugins: {
      legend: { position: "right", labels: { boxWidth: 12 } },
      tooltip: { callbacks: { label: ({ dataset, parsed }) => `${dataset.label}: ${text(parsed.y ?? 0)}` } },
    },
  };
}

/** Values of a column, by its name. */
function column({ columns, rows }: ReportTable, name: string): (string | number | null)[] {
  const at = columns.findIndex((each) => each.name === name);
  return rows.slice(0, BARS_MAX).map((row) => row[at] ?? null);
}

interface Bar {
  readonly label: string;
  readonly colour: string;
  readonly values: readonly (string | number | null)[];
}

function drawBars(
  id: string,
  names: readonly string[],
  bars: readonly Bar[],
  text: (value: number) => string,
  isStacked: boolean,
  onName: (name: string) => void,
): void {
  const plot = canvas(id).parentElement;
  if (plot !== null) plot.style.height = `${5 + names.length * (isStacked ? 1.5 : 2.1)}rem`;
  new Chart(canvas(id), {
    type: "bar",
    data: {
      labels: names.map((name) => shortName(name, NAME_MAX)),
      datasets: bars.map(({ label, colour, values }) => ({ label, data: values.map(Number), backgroundColor: colour })),
    },
    options: {
      indexAxis: "y",
      onClick: (_, [hit]) => hit === undefined ? undefined : onName(names[hit.index]!),
      scales: {
        x: { stacked: isStacked, beginAtZero: true, ticks: { callback: (value) => text(Number(value)) } },
        y: { stacked: isStacked, grid: { display: false }, ticks: { autoSkip: false } },
      },
      plugins: {
        legend: { position: "top", align: "start", labels: { boxWidth: 12 } },
        tooltip: { callbacks: { label: ({ dataset, parsed }) => `${dataset.label}: ${text(parsed.x ?? 0)}` } },
      },
    },
  });
}

function drawServices(talkers: ReportTable, onService: (name: string) => void): void {
  const bars = [{ label: "sent", colour: BLUE, values: column(talkers, "sent_bytes") }, {
    label: "received",
    colour: GREY,
    values: column(talkers, "received_bytes"),
  }];
  drawBars("services-plot", column(talkers, "service").map(String), bars, bytesText, true, onService);
}

/** Of links, how full they are; of services, what they move. */
function drawCapacity(capacity: ReportTable | undefined): void {
  if (capacity === undefined || capacity.rows.length === 0) {
    for (const id of ["capacity-title", "capacity-note", "capacity-plot"]) byId(id).hidden = true;
    return;
  }
  const subjects = column(capacity, "subject").map(String), capacities = column(capacity, "capacity_bps");
  const isLinks = capacities.some((bps) => bps !== null);
  byId("capacity-note").textContent = isLinks
    ? "Links by how full they are in their busy hour, in percent of their capacity; the table has growth and the day on which each is full."
    : "Services by the bits per second of their busy hour; with a topology these are links, in percent of their capacity.";
  const scale = (name: string) => column(capacity, name).map((bps, i) => isLinks ? 100 * Number(bps) / Number(capacities[i]) : Number(bps));
  const bars = [
    { label: "p95", colour: BLUE, values: scale("p95_bps") },
    { label: "p99", colour: GREY, values: scale("p99_bps") },
    { label: "peak", colour: AMBER, values: scale("peak_bps") },
  ];
  drawBars(
    "capacity-plot",
    subjects,
    bars,
    (value) => isLinks ? `${Number(value.toPrecision(3))} %` : scaled(value, "bit/s"),
    false,
    () => {},
  );
}
