/** Places on the map: services as circles within their groups, or in layers from clients to servers. */

import dagre from "@dagrejs/dagre";
// @ts-types="npm:@types/d3-hierarchy@3.1.7"
import { hierarchy, pack } from "d3-hierarchy";
import type { Grouping } from "../report/report_data.ts";

export interface Circle {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

interface Item {
  readonly group?: number;
  readonly service?: number;
  readonly children?: Item[];
}

/** Side of the square for a map, by the root of the number of services. */
const SIDE = 90;
const SERVICE_GAP = 5, GROUP_GAP = 70;
const RING_WIDTH = 1.25;

/** Places of groups and services on the map. */
interface Packed {
  readonly groups: readonly Circle[];
  readonly services: readonly Circle[];
}

/** So few groups stand in a ring, where lines between them cross no third one. */
const RING_MAX = 24;

/** Packs services into circles of their groups; a service's area grows with the root of its bytes. */
export function packMap(grouping: Grouping, bytesOf: readonly number[]): Packed {
  const packed = packGroups(grouping, bytesOf);
  return packed.groups.length < 3 || packed.groups.length > RING_MAX ? packed : ring(packed, grouping.groupOf);
}

function packGroups({ groups, groupOf }: Grouping, bytesOf: readonly number[]): Packed {
  const most = Math.max(1, ...bytesOf);
  const members = groups.map((_, group): Item => ({ group, children: [] }));
  groupOf.forEach((group, service) => members[group]!.children!.push({ service }));
  const root = hierarchy<Item>({ children: members })
    .sum(({ service }) => service === undefined ? 0 : 1 + 12 * Math.sqrt(bytesOf[service]! / most))
    .sort((a, b) => b.value! - a.value!);
  const side = SIDE * Math.sqrt(groupOf.length) + GROUP_GAP * Math.sqrt(groups.length);
  const packed = pack<Item>().size([side, side]).padding(({ depth }) => depth === 0 ? GROUP_GAP : SERVICE_GAP)(root);
  const ofGroups: Circle[] = [], ofServices: Circle[] = [];
  for (const { x, y, r, data } of packed.descendants()) {
    if (data.group !== undefined) ofGroups[data.group] = { x, y, radius: r + SERVICE_GAP };
    if (data.service !== undefined) ofServices[data.service] = { x, y, radius: r };
  }
  return { groups: ofGroups, services: ofServices };
}

/** Moves groups, with all in them, onto a ring that is wider than high, as windows are. */
function ring({ groups, services }: Packed, groupOf: readonly number[]): Packed {
  const lengths = groups.map(({ radius }) => 2 * radius + GROUP_GAP), around = lengths.reduce((sum, length) => sum + length, 0);
  const largest = Math.max(...groups.map(({ radius }) => radius)), middle = Math.max(around / (2 * Math.PI), 1.6 * largest);
  let passed = 0;
  const placed = groups.map(({ radius }, i): Circle => {
    const angle = 2 * Math.PI * (passed + lengths[i]! / 2) / around - Math.PI / 2;
    passed += lengths[i]!;
    return { x: RING_WIDTH * middle * Math.cos(angle), y: middle * Math.sin(angle), radius };
  });
  const moved = services.map(({ x, y, radius }, service): Circle => {
    const group = groupOf[service]!, from = groups[group]!, to = placed[group]!;
    return { x: x - from.x + to.x, y: y - from.y + to.y, radius };
  });
  return { groups: placed, services: moved };
}

/** Boxes of a column; more go into another beside it. */
const COLUMN_BOXES = 15;
const COLUMN_GAP = 40, SIDE_GAP = 110, BOX_GAP = 12;

/**
 * Columns around one service: those that ask it on the left, those that it asks on the right, those farther away farther out.
 *
 * @param steps Of each service: 0 of the one in the middle, below 0 for those that ask it.
 */
export function columns(
  steps: ReadonlyMap<number, number>,
  widths: ReadonlyMap<number, number>,
  height: number,
): Map<number, { readonly x: number; readonly y: number }> {
  const places = new Map<number, { readonly x: number; readonly y: number }>();
  const byStep = Map.groupBy(steps.keys(), (service) => steps.get(service)!),
    middle = (byStep.get(0) ?? []).map((service) => widths.get(service)!);
  for (const side of [-1, 1]) {
    let x = side * (Math.max(0, ...middle) / 2);
    const sideSteps = [...byStep.keys()].filter((step) => Math.sign(step) === side).toSorted((a, b) => Math.abs(a) - Math.abs(b));
    for (const step of sideSteps) {
      const services = byStep.get(step)!;
      x += side * SIDE_GAP;
      const columnCount = Math.ceil(services.length / COLUMN_BOXES), boxes = Math.ceil(services.length / columnCount);
      for (let first = 0; first < services.length; first += boxes) {
        const column = services.slice(first, first + boxes), width = Math.max(...column.map((service) => widths.get(service)!));
        if (first > 0) x += side * COLUMN_GAP;
        column.forEach((service, i) =>
          places.set(service, { x: x + side * width / 2, y: (i - (column.length - 1) / 2) * (height + BOX_GAP) })
        );
        x += side * width;
      }
    }
  }
  for (const service of byStep.get(0) ?? []) places.set(service, { x: 0, y: 0 });
  return places;
}

/**
 * Layers from left to right, clients before servers (dagre).
 *
 * @param widths Of the boxes, by service.
 */
export function layers(
  widths: ReadonlyMap<number, number>,
  height: number,
  lines: readonly { readonly from: number; readonly to: number }[],
): Map<number, { readonly x: number; readonly y: number }> {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 130 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [service, width] of widths) graph.setNode(String(service), { width, height });
  for (const { from, to } of lines) if (from !== to) graph.setEdge(String(from), String(to));
  dagre.layout(graph);
  return new Map([...widths.keys()].map((service) => {
    const { x, y } = graph.node(String(service));
    return [service, { x: x ?? 0, y: y ?? 0 }];
  }));
}
