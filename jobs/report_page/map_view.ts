/// <reference lib="dom" />
/**
 * The map. Of many services it shows groups, with the strongest lines between them, and names as one comes near; of few, or around
 * one service, boxes in layers from clients to servers. Lines are drawn up to a number that can be followed, and it says of how many.
 */

import cytoscape from "cytoscape";
import type { Grouping } from "../report/report_data.ts";
import { bytesText } from "../unit_text.ts";
import { shortName } from "./dom.ts";
import { columns, layers, packMap } from "./map_layout.ts";
import { colourOf, MAP_STYLE, TROUBLE_PERCENT } from "./map_style.ts";
import type { Line, Model } from "./model.ts";

/** So few are shown one by one at first. */
export const SMALL_SERVICES = 60;
const FOCUS_SERVICES_MAX = 46;
const LINES_MAX = 400;
/** Lines that are drawn at first where there are more. */
const LINES_FIRST = 30;
const LABELLED_LINES = 12, LABELLED_LINES_FEW = 45;
const NAME_MAX = 28, CIRCLE_NAME_MAX = 22;
const BOX_HEIGHT = 26, BOX_FONT = 12, CHARACTER_WIDTH = 0.62;
/** Pixels of a window for which sizes of lines and texts of the whole map are meant. */
const WINDOW = 800;

export type View =
  | { readonly kind: "map"; readonly level: "groups" | "services" }
  | { readonly kind: "layers"; readonly around: number | null; readonly depth: number };

export interface MapEvents {
  readonly onService: (service: number) => void;
  readonly onFocus: (service: number) => void;
  readonly onGroup: (group: number) => void;
  readonly onNothing: () => void;
}

export class MapView {
  readonly #cy: cytoscape.Core;
  readonly #model: Model;
  #view: View = { kind: "map", level: "groups" };
  #grouping: Grouping;
  /** What may be drawn, the strongest first. */
  #lines: readonly Line[] = [];
  #scale = 1;
  #cut = "";

  constructor(container: HTMLElement, model: Model, { onService, onFocus, onGroup, onNothing }: MapEvents) {
    this.#model = model;
    this.#grouping = model.groupings[0]!;
    this.#cy = cytoscape({ container, style: MAP_STYLE, minZoom: 0.02, maxZoom: 6, autoungrabify: true, boxSelectionEnabled: false });
    this.#cy.one("render", () => performance.mark("first drawing"));
    this.#cy.on("tap", (event) => event.target === this.#cy ? onNothing() : undefined);
    let tapped = "", tappedBefore = "";
    this.#cy.on("tap", "node", ({ target }) => {
      [tappedBefore, tapped] = [tapped, target.id()];
      if (target.hasClass("group")) onGroup(target.data("place"));
      else onService(target.data("place"));
    });
    // Two quick clicks on different services are no double click.
    this.#cy.on(
      "dbltap",
      "node.service, node.box",
      ({ target }) => tappedBefore === target.id() ? onFocus(target.data("place")) : undefined,
    );
    this.#cy.on("tap", "edge", ({ target }) => {
      const place = target.data("from");
      if (target.data("isGroups")) onGroup(place);
      else onService(place);
    });
  }

  get view(): View {
    return this.#view;
  }

  /** Lays the services out anew; `drawLines()` then adds the lines. Gives where the weight of lines is set at first, 0 to 100. */
  show(view: View, grouping: Grouping): number {
    this.#view = view;
    this.#grouping = grouping;
    this.#cy.elements().remove();
    if (view.kind === "map") this.#placeMap(view.level);
    else this.#placeLayers(view.around, view.depth);
    this.#cy.fit(undefined, 25);
    if (view.kind === "layers" && this.#cy.zoom() > 1.3) {
      this.#cy.zoom({ level: 1.3, renderedPosition: { x: this.#cy.width() / 2, y: this.#cy.height() / 2 } });
    }
    const drawable = this.#drawable().length;
    return drawable <= LINES_FIRST || view.kind === "layers" ? 0 : Math.round(100 * (1 - Math.log(LINES_FIRST) / Math.log(drawable)));
  }

  /**
   * Draws the lines that weigh enough.
   *
   * @param weight 0 for all, 100 for the strongest alone.
   * @returns The least bytes of a line that is drawn, and a sentence on what is not.
   */
  drawLines(weight: number): { readonly leastBytes: number; readonly note: string } {
    const drawable = this.#drawable();
    const asked = Math.max(1, Math.round(drawable.length ** (1 - weight / 100)));
    const shown = drawable.slice(0, Math.min(asked, LINES_MAX)), most = Math.max(1, ...shown.map(({ bytes }) => bytes));
    this.#cy.batch(() => {
      this.#cy.edges().remove();
      const labelled = shown.length <= LABELLED_LINES_FEW ? shown.length : LABELLED_LINES;
      this.#cy.add(shown.map((line, i) => this.#lineElement(line, most, i < labelled)));
    });
    const what = this.#isGroups() ? "lines between groups" : "lines between services";
    const left = drawable.length - shown.length;
    const lines = left === 0 ? `All ${drawable.length} ${what}` : `The strongest ${shown.length} of ${drawable.length} ${what}`;
    return { leastBytes: shown.at(-1)?.bytes ?? 0, note: `${lines}.${this.#cut}` };
  }

  /** Shows the service's own lines and neighbours, and fades the rest; null shows all again. */
  choose(service: number | null): void {
    this.#cy.batch(() => {
      this.#cy.elements().removeClass("faded near chosen");
      this.#cy.remove("edge.own");
      if (service === null) return;
      const node = this.#cy.$id(`service ${service}`);
      if (node.empty()) return;
      if (this.#view.kind === "map") this.#addOwnLines(service);
      const own = this.#cy.edges(`[!isGroups][from = ${service}], [!isGroups][to = ${service}]`), near = own.connectedNodes().union(node);
      this.#cy.elements().difference(near).difference(own).difference(this.#cy.nodes(".group")).addClass("faded");
      own.addClass("near");
      node.addClass("chosen");
    });
  }

  /** Brings a group, or a service, close enough to read it. */
  approach(id: string): void {
    const node = this.#cy.$id(id);
    if (node.nonempty()) this.#cy.animate({ fit: { eles: node, padding: id.startsWith("group") ? 40 : 220 }, duration: 250 });
  }

  resize(): void {
    this.#cy.resize();
  }

  #isGroups(): boolean {
    return this.#view.kind === "map" && this.#view.level === "groups";
  }

  /** Lines from something to itself say nothing on a map. */
  #drawable(): readonly Line[] {
    return this.#lines.filter(({ from, to }) => from !== to);
  }

  #placeMap(level: "groups" | "services"): void {
    const { groups, services } = packMap(this.#grouping, this.#model.bytesOf);
    const all = this.#model.edges.client.keys();
    this.#lines = level === "groups" ? this.#model.groupLines(this.#grouping) : this.#model.serviceLines(all);
    const side = Math.max(...groups.map(({ x, radius }) => x + radius)) - Math.min(...groups.map(({ x, radius }) => x - radius));
    this.#scale = Math.max(1, side / WINDOW);
    this.#cut = " A click on a group or a service brings it near; names appear as you zoom.";
    this.#cy.add(groups.map(({ x, y, radius }, group) => ({
      group: "nodes" as const,
      classes: "group",
      position: { x, y },
      data: {
        id: `group ${group}`,
        place: group,
        label: shortName(this.#grouping.groups[group]!, NAME_MAX),
        width: 2 * radius,
        height: 2 * radius,
        fontSize: 13 * this.#scale,
        borderWidth: 1.5 * this.#scale,
        colour: colourOf(group),
      },
    })));
    this.#cy.add(services.map(({ x, y, radius }, service) => ({
      group: "nodes" as const,
      classes: "service",
      position: { x, y },
      data: { ...this.#serviceData(service, CIRCLE_NAME_MAX, 2 * radius), width: 2 * radius, height: 2 * radius },
    })));
  }

  #placeLayers(around: number | null, depth: number): void {
    const { steps, all } = around === null
      ? { steps: new Map(this.#model.services.keys().map((service) => [service, 0])), all: this.#model.services.length }
      : this.#model.neighbourhood(around, depth, FOCUS_SERVICES_MAX);
    const { client, server } = this.#model.edges;
    const within = client.keys().filter((edge) => steps.has(client[edge]!) && steps.has(server[edge]!));
    this.#lines = this.#model.serviceLines(within);
    this.#scale = 1;
    this.#cut = all === steps.size
      ? ""
      : ` Of ${all} services so near, the ${steps.size} with the most traffic; the lists beside have all.`;
    const label = (service: number) => shortName(this.#model.services[service]!, NAME_MAX);
    const widths = new Map(steps.keys().map((service) => [service, 18 + label(service).length * BOX_FONT * CHARACTER_WIDTH]));
    const places = around === null ? layers(widths, BOX_HEIGHT, this.#lines) : columns(steps, widths, BOX_HEIGHT);
    this.#cy.add([...widths].map(([service, width]) => ({
      group: "nodes" as const,
      classes: "box",
      position: { ...places.get(service)! },
      data: { ...this.#serviceData(service, NAME_MAX, Infinity), fontSize: BOX_FONT, width, height: BOX_HEIGHT },
    })));
  }

  #serviceData(service: number, nameMax: number, room: number) {
    const { model, grouping } = { model: this.#model, grouping: this.#grouping };
    const label = shortName(model.services[service]!, nameMax),
      fontSize = Math.min(room * 0.24, 0.95 * room / (CHARACTER_WIDTH * label.length));
    const asked = model.askedBy[service]!.reduce(
      (sum, edge) => ({
        connections: sum.connections + model.edges.connections[edge]!,
        failed: sum.failed + model.edges.failed_connections[edge]!,
      }),
      { connections: 0, failed: 0 },
    );
    return {
      id: `service ${service}`,
      place: service,
      label,
      fontSize,
      outlineWidth: Number.isFinite(fontSize) ? fontSize / 6 : 0,
      colour: colourOf(grouping.groupOf[service]!),
      trouble: model.failedPercent(asked.connections, asked.failed) >= TROUBLE_PERCENT,
      troubleWidth: Number.isFinite(room) ? Math.max(2, room * 0.08) : 4,
    };
  }

  #lineElement({ from, to, bytes, connections, failed, edges }: Line, most: number, isLabelled: boolean): cytoscape.ElementDefinition {
    const isGroups = this.#isGroups(), kind = isGroups ? "group" : "service";
    const ports = new Set(edges.map((edge) => this.#model.edges.server_port[edge]!));
    const port = isGroups || ports.size > 1 ? "" : `:${[...ports][0]} `;
    return {
      group: "edges",
      data: {
        id: `line ${kind} ${from} ${to}`,
        source: `${kind} ${from}`,
        target: `${kind} ${to}`,
        from,
        to,
        isGroups,
        label: isLabelled && !isGroups ? `${port}${bytesText(bytes)}` : "",
        // At the client's end, as in the middle the texts of many lines would be one upon the other.
        endLabel: isLabelled && isGroups ? bytesText(bytes) : "",
        endOffset: 38 * this.#scale,
        width: (1 + 6 * Math.sqrt(bytes / most)) * this.#scale,
        fontSize: 10 * this.#scale,
        trouble: this.#model.failedPercent(connections, failed) >= TROUBLE_PERCENT,
      },
    };
  }

  /** Of a service on the map, the strongest lines that are not drawn yet. */
  #addOwnLines(service: number): void {
    const edges = [...this.#model.asks[service]!, ...this.#model.askedBy[service]!];
    const lines = this.#model.serviceLines(new Set(edges)).filter(({ from, to }) => from !== to).slice(0, LINES_MAX);
    const most = Math.max(1, ...lines.map(({ bytes }) => bytes));
    for (const { from, to, bytes, connections, failed } of lines) {
      this.#cy.remove(this.#cy.$id(`line service ${from} ${to}`));
      this.#cy.add({
        group: "edges",
        classes: "own",
        data: {
          id: `line service ${from} ${to}`,
          source: `service ${from}`,
          target: `service ${to}`,
          from,
          to,
          label: "",
          fontSize: 1,
          width: (0.5 + 2.5 * Math.sqrt(bytes / most)) * this.#scale,
          trouble: this.#model.failedPercent(connections, failed) >= TROUBLE_PERCENT,
        },
      });
    }
  }
}
