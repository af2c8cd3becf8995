/// <reference lib="dom" />
/** The report's page: a map, a matrix, plots and tables of one set of edges. Bundled into page.gen.js. */

import type { Grouping, ReportData, ReportTable } from "../report/report_data.ts";
import { bytesText } from "../unit_text.ts";
import { showGroup, showNothing, showService } from "./detail.ts";
import { button, byId, input, make, select, setOptions, shortName } from "./dom.ts";
import { addGridStyle, DataTable } from "./grid.ts";
import { MapView, SMALL_SERVICES, type View } from "./map_view.ts";
import { type Figure, FIGURES, showMatrix } from "./matrix.ts";
import { Model } from "./model.ts";
import { drawPlots } from "./plots.ts";

const TABS = { map: "Map", matrix: "Matrix", traffic: "Traffic", tables: "Tables" } as const;
type Tab = keyof typeof TABS;
const MATCHES_MAX = 12;
const NAME_MAX = 60;

const data = JSON.parse(byId("data").textContent) as ReportData;
const model = new Model(data);
const places = new Map(model.services.map((service, i) => [service, i]));
const isSmall = model.services.length <= SMALL_SERVICES;
const events = { onService: chooseService, onFocus: focus, onGroup: chooseGroup, onNothing: chooseNothing };
const map = new MapView(byId("map"), model, events);
/** Draws a tab when it is first seen. */
const opened = new Set<Tab>();
let chosen: number | null = null;
let table: DataTable | null = null;
let pair: { readonly grouping: Grouping; readonly from: number; readonly to: number } | null = null;
let shownTable = "edges";

function grouping(id = "grouping"): Grouping {
  return model.groupings[Number(select(id).value)]!;
}

function openTab(tab: Tab): void {
  for (const each of Object.keys(TABS)) {
    byId(`${each}-tab`).hidden = each !== tab;
    byId(`${each}-button`).setAttribute("aria-selected", String(each === tab));
  }
  if (tab === "map") map.resize();
  if (opened.has(tab)) return;
  opened.add(tab);
  if (tab === "matrix") drawMatrix();
  if (tab === "traffic") drawPlots(data, openService);
  if (tab === "tables") showTable(shownTable);
}

function showMap(view: View): void {
  byId("line-controls").hidden = false;
  select("level").parentElement!.hidden = view.kind !== "map";
  byId("depth-control").hidden = view.kind !== "layers" || view.around === null;
  byId("whole").hidden = view.kind === "map" || view.around === null;
  input("weight").value = String(map.show(view, grouping()));
  drawLines();
  map.choose(chosen);
}

function drawLines(): void {
  const { leastBytes, note } = map.drawLines(Number(input("weight").value));
  byId("weight-text").textContent = bytesText(leastBytes);
  byId("map-note").textContent = note +
    (data.edgesLeftOut > 0 ? ` ${data.edgesLeftOut} edges with the least traffic are not in this report.` : "");
}

function wholeView(): View {
  return isSmall
    ? { kind: "layers", around: null, depth: 0 }
    : { kind: "map", level: select("level").value === "groups" ? "groups" : "services" };
}

function chooseService(service: number): void {
  chosen = service;
  map.choose(service);
  showService(model, grouping(), service, events);
}

/** From a list, a table or a plot: the map shows it as well. */
function openService(name: string): void {
  const service = places.get(name);
  if (service === undefined) return;
  openTab("map");
  focus(service);
}

function focus(service: number): void {
  chosen = service;
  showMap({ kind: "layers", around: service, depth: Number(select("depth").value) });
  showService(model, grouping(), service, events);
}

function chooseGroup(group: number): void {
  chosen = null;
  if (map.view.kind === "layers") showMap(wholeView());
  map.choose(null);
  map.approach(`group ${group}`);
  showGroup(model, grouping(), group, events);
}

function chooseNothing(): void {
  chosen = null;
  map.choose(null);
  showNothing(model, grouping());
}

function drawMatrix(): void {
  const by = grouping("matrix-grouping");
  showMatrix(model, by, FIGURES.find((figure) => figure === select("matrix-figure").value) ?? FIGURES[0], (from, to) => {
    pair = { grouping: by, from, to };
    shownTable = "edges";
    opened.add("tables");
    openTab("tables");
    showTable("edges");
  });
}

function edgeTable(): ReportTable {
  const { client, server, ...figures } = model.edges, { groups, groupOf, name } = grouping();
  const columns = [
    ...["client_service", "server_service"].map((column) => ({ name: column, isNumber: false })),
    { name: "server_port", isNumber: true },
    { name: "network_transport", isNumber: false },
    ...(["connections", "failed_connections", "tx_bytes", "rx_bytes", "retransmits", "srtt_us"] as const).map((column) => ({
      name: column,
      isNumber: true,
    })),
    ...[`client_${name}`, `server_${name}`].map((column) => ({ name: column, isNumber: false })),
  ];
  const rows = [...client.keys()].map((edge) => [
    model.services[client[edge]!]!,
    model.services[server[edge]!]!,
    figures.server_port[edge]!,
    figures.network_transport[edge]!,
    figures.connections[edge]!,
    figures.failed_connections[edge]!,
    figures.tx_bytes[edge]!,
    figures.rx_bytes[edge]!,
    figures.retransmits[edge]!,
    figures.srtt_us[edge]!,
    groups[groupOf[client[edge]!]!]!,
    groups[groupOf[server[edge]!]!]!,
  ]);
  return {
    name: "edges",
    description: "every edge of the dependency graph, those with the most bytes first",
    columns,
    rows,
    leftOut: data.edgesLeftOut,
  };
}

function showTable(name: string): void {
  shownTable = name;
  const shown = name === "edges" ? edgeTable() : data.tables.find((each) => each.name === name)!;
  for (const each of byId("table-names").querySelectorAll("button")) {
    each.setAttribute("aria-selected", String(each.dataset["table"] === name));
  }
  const { length } = shown.rows;
  byId("table-note").textContent = `${shown.description}.${
    shown.leftOut > 0 ? ` The first ${length}; ${shown.leftOut} more are not in this report.` : ""
  }`;
  table?.destroy();
  table = new DataTable(byId("table"), shown, (text) => places.has(text), openService, (rows) => {
    byId("table-count").textContent = rows === length ? `${length} rows` : `${rows} of ${length} rows`;
  });
  if (name !== "edges") pair = null;
  const element = byId("table-pair");
  element.hidden = pair === null;
  if (pair !== null) {
    element.textContent = `${shortName(pair.grouping.groups[pair.from]!, NAME_MAX)} → ${
      shortName(pair.grouping.groups[pair.to]!, NAME_MAX)
    }  ✕`;
  }
  byId("table").dataset["shown"] = name;
  if (pair !== null || input("table-filter").value !== "") setTimeout(filterTable);
}

function filterTable(): void {
  const asked = pair;
  const groupOf = (name: unknown) => asked?.grouping.groupOf[places.get(String(name)) ?? -1];
  table?.filter(
    input("table-filter").value.trim(),
    asked === null ? null : ([client, server]) => groupOf(client) === asked.from && groupOf(server) === asked.to,
  );
}

function showMatches(): void {
  const text = input("query").value.trim().toLowerCase(), list = byId("matches");
  if (text === "") return list.replaceChildren();
  const found = model.services.filter((service) => service.toLowerCase().includes(text));
  const pick = (service: string) => {
    input("query").value = "";
    list.replaceChildren();
    openService(service);
  };
  const items = found.slice(0, MATCHES_MAX).map((service) => {
    const item = make("li"), element = button(shortName(service, NAME_MAX), () => pick(service));
    element.dir = "auto";
    item.append(element);
    return item;
  });
  if (found.length === 0) items.push(make("li", "no service has this in its name", "note"));
  if (found.length > MATCHES_MAX) items.push(make("li", `and ${found.length - MATCHES_MAX} more`, "note"));
  list.replaceChildren(...items);
}

function listen(): void {
  select("grouping").addEventListener("change", () => {
    showMap(map.view.kind === "map" ? wholeView() : map.view);
    if (chosen === null) showNothing(model, grouping());
    else showService(model, grouping(), chosen, events);
  });
  select("level").addEventListener("change", () => showMap(wholeView()));
  select("depth").addEventListener("change", () => chosen === null ? undefined : focus(chosen));
  input("weight").addEventListener("input", () => {
    drawLines();
    map.choose(chosen);
  });
  byId("whole").addEventListener("click", () => {
    showMap(wholeView());
    if (chosen === null) return;
    map.approach(`service ${chosen}`);
  });
  for (const id of ["matrix-grouping", "matrix-figure"]) select(id).addEventListener("change", drawMatrix);
  input("table-filter").addEventListener("input", filterTable);
  byId("table-pair").addEventListener("click", () => {
    pair = null;
    byId("table-pair").hidden = true;
    filterTable();
  });
  input("query").addEventListener("input", showMatches);
  input("query").addEventListener("keydown", ({ key }) => {
    if (key === "Enter") byId("matches").querySelector("button")?.click();
    if (key === "Escape") byId("matches").replaceChildren();
  });
}

function start(): void {
  addGridStyle();
  const time = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
  byId("summary").textContent = `${model.services.length} services, ${model.edgeCount + data.edgesLeftOut} edges, ${time(data.fromMs)} to ${
    time(data.toMs)
  } UTC`;
  byId("coverage").textContent = data.coverage;
  for (const [tab, title] of Object.entries(TABS)) {
    const element = button(title, () => openTab(Object.keys(TABS).find((each): each is Tab => each === tab)!));
    element.id = `${tab}-button`;
    element.setAttribute("role", "tab");
    document.querySelector("nav")!.append(element);
  }
  for (const id of ["grouping", "matrix-grouping"]) setOptions(select(id), model.groupings.map(({ name }, i) => [String(i), name]));
  setOptions(select("matrix-figure"), FIGURES.map((figure: Figure) => [figure, figure]));
  for (const name of ["edges", ...data.tables.map((each) => each.name)]) {
    const element = button(name.replaceAll("-", " "), () => showTable(name));
    element.dataset["table"] = name;
    byId("table-names").append(element);
  }
  listen();
  openTab("map");
  showMap(wholeView());
  showNothing(model, grouping());
  document.body.dataset["ready"] = "true";
}

start();
