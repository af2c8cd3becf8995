/// <reference lib="dom" />
/** What stands beside the map: of a service its neighbours with figures, of a group its services. */

import type { Grouping } from "../report/report_data.ts";
import { bytesText, durationText } from "../unit_text.ts";
import { button, byId, make } from "./dom.ts";
import { TROUBLE_PERCENT } from "./map_style.ts";
import type { Line, Model } from "./model.ts";

/** Items of a list. */
const ITEMS_MAX = 200;

export interface DetailEvents {
  readonly onService: (service: number) => void;
  readonly onFocus: (service: number) => void;
  readonly onGroup: (group: number) => void;
}

export function showService(model: Model, grouping: Grouping, service: number, events: DetailEvents): void {
  const group = grouping.groupOf[service]!, asks = model.asks[service]!, askedBy = model.askedBy[service]!;
  const actions = make("div", "", "actions");
  actions.append(
    button("Neighbourhood alone", () => events.onFocus(service)),
    button(`Group ${grouping.groups[group]}`.slice(0, 60), () => events.onGroup(group)),
  );
  const title = make("h2", model.services[service]!);
  title.dir = "auto";
  byId("detail").replaceChildren(
    title,
    make(
      "p",
      `${bytesText(model.bytesOf[service]!)} in and out; ${countOf(ends(model.edges.client, askedBy), "service")} ask it, it asks ${
        ends(model.edges.server, asks)
      }.`,
    ),
    actions,
    make("h3", `Asked by ${ends(model.edges.client, askedBy)}`),
    edgeList(model, "asked-by", askedBy, model.edges.client, events),
    make("h3", `Asks ${ends(model.edges.server, asks)}`),
    edgeList(model, "asks", asks, model.edges.server, events),
  );
}

function ends(end: readonly number[], edges: readonly number[]): number {
  return new Set(edges.map((edge) => end[edge]!)).size;
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function edgeList(model: Model, id: string, edges: readonly number[], end: readonly number[], { onService }: DetailEvents): HTMLElement {
  const list = make("ul");
  list.id = id;
  for (const edge of edges.slice(0, ITEMS_MAX)) {
    const other = end[edge]!, item = make("li");
    item.append(nameButton(model.services[other]!, () => onService(other)), figures(model, edge));
    list.append(item);
  }
  return withRest(list, edges.length - ITEMS_MAX, "edges; the tables have all");
}

function nameButton(name: string, onClick: () => void): HTMLElement {
  const element = button(name, onClick, "name");
  element.dir = "auto";
  return element;
}

function figures(model: Model, edge: number): HTMLElement {
  const { server_port, network_transport, tx_bytes, rx_bytes, connections, failed_connections, retransmits, srtt_us } = model.edges;
  const percent = model.failedPercent(connections[edge]!, failed_connections[edge]!), rtt = srtt_us[edge];
  const line = make(
    "span",
    [
      `${network_transport[edge]} ${server_port[edge]}`,
      `${bytesText(tx_bytes[edge]!)} there, ${bytesText(rx_bytes[edge]!)} back`,
      countOf(connections[edge]!, "connection"),
      ...retransmits[edge]! > 0 ? [countOf(retransmits[edge]!, "retransmission")] : [],
      ...rtt === null || rtt === undefined ? [] : [`${durationText(rtt)} round trip`],
    ].join(" · "),
    "figures",
  );
  if (failed_connections[edge]! > 0) {
    line.append(make("span", ` · ${failed_connections[edge]} failed (${percent} %)`, percent >= TROUBLE_PERCENT ? "bad" : ""));
  }
  return line;
}

export function showGroup(model: Model, grouping: Grouping, group: number, events: DetailEvents): void {
  const members = [...model.services.keys()].filter((service) => grouping.groupOf[service] === group);
  const lines = model.groupLines(grouping), own = lines.find(({ from, to }) => from === group && to === group);
  const services = make("ul");
  services.id = "members";
  for (const service of members.slice(0, ITEMS_MAX)) {
    const item = make("li");
    item.append(
      nameButton(model.services[service]!, () => events.onService(service)),
      make("span", bytesText(model.bytesOf[service]!), "figures"),
    );
    services.append(item);
  }
  const title = make("h2", grouping.groups[group]!);
  title.dir = "auto";
  byId("detail").replaceChildren(
    title,
    make("p", `${countOf(members.length, "service")}; ${bytesText(own?.bytes ?? 0)} among them.`),
    make("h3", "Asked by groups"),
    groupList(grouping, lines.filter(({ from, to }) => to === group && from !== group), ({ from }) => from, events),
    make("h3", "Asks groups"),
    groupList(grouping, lines.filter(({ from, to }) => from === group && to !== group), ({ to }) => to, events),
    make("h3", "Services"),
    withRest(services, members.length - ITEMS_MAX, "services"),
  );
}

function groupList({ groups }: Grouping, lines: readonly Line[], end: (line: Line) => number, { onGroup }: DetailEvents): HTMLElement {
  const list = make("ul");
  for (const line of lines.slice(0, ITEMS_MAX)) {
    const item = make("li");
    item.append(
      nameButton(groups[end(line)]!, () => onGroup(end(line))),
      make(
        "span",
        `${bytesText(line.bytes)} · ${countOf(line.connections, "connection")} · ${countOf(line.edges.length, "edge")}`,
        "figures",
      ),
    );
    list.append(item);
  }
  if (lines.length === 0) list.append(make("li", "none", "note"));
  return withRest(list, lines.length - ITEMS_MAX, "groups");
}

function withRest(list: HTMLElement, rest: number, what: string): HTMLElement {
  if (rest > 0) list.append(make("li", `and ${rest} more ${what}`, "note"));
  return list;
}

export function showNothing(model: Model, grouping: Grouping): void {
  byId("detail").replaceChildren(
    make("p", "Click a service to see its neighbours, double-click it for these alone."),
    make("p", `Groups are ${grouping.meaning}.`, "note"),
    make(
      "p",
      `A circle's area grows with the root of its traffic, a line's width too. Red is where ${TROUBLE_PERCENT} % or more of the attempts to connect fail.`,
      "note",
    ),
    make("p", `${countOf(model.services.length, "service")}, ${countOf(model.edgeCount, "edge")}.`, "note"),
  );
}
