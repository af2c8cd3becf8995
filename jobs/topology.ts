/** The switches and links of a network: which way traffic takes, and which way it takes when one of them fails. */

import { z } from "zod";
import { lineError, parseList, readListText } from "./list_file.ts";
import { cutRanges, RANGE_KEYS, type TimedRange } from "./timed_ranges.ts";

const nodeName = z.string("the name of a node").min(1, "the name of a node");
const NodeItem = z.strictObject({ name: nodeName });
const LinkItem = z.strictObject({
  a: nodeName,
  b: nodeName,
  capacity_bps: z.coerce.number("bits per second, more than 0").positive("bits per second, more than 0"),
  /** Links that fail together: of one duct or one line card. */
  risk_group: z.string("the name of a risk group").min(1, "the name of a risk group").nullable().default(null),
});
const AttachmentItem = z.strictObject({ ...RANGE_KEYS, node: nodeName });

/** What is taken down on purpose, at once. */
const MaintenanceItem = z.strictObject({
  name: z.string("the name of a maintenance").min(1, "the name of a maintenance"),
  nodes: z.array(nodeName, "a list of nodes").default([]),
  links: z.array(z.tuple([nodeName, nodeName], "the two ends of a link, as [leaf1, spine1]"), "a list of links").default([]),
});

const LISTS = ["nodes", "links", "attached", "maintenance"];

export interface Link {
  readonly a: string;
  readonly b: string;
  /** In each direction. */
  readonly capacityBps: number;
  readonly riskGroup: string | null;
}

export interface Topology {
  readonly nodes: readonly string[];
  readonly links: readonly Link[];
  /** Which addresses are at which node. */
  readonly attached: readonly TimedRange[];
  readonly maintenance: readonly Failure[];
}

/**
 * Reads a file with the lists `nodes`, `links` and `attached`, and maybe `maintenance`.
 *
 * @throws {SyntaxError} If it is wrong, a link or an attachment names a node that is not there, two links have the same ends, or two
 * attachments an address in common; with the line.
 */
export async function readTopology(path: string): Promise<Topology> {
  const text = await readListText(path);
  const nodes = parseList(path, text, "nodes", NodeItem, LISTS);
  const links = parseList(path, text, "links", LinkItem, LISTS);
  const attached = parseList(path, text, "attached", AttachmentItem, LISTS);
  const names = new Set<string>();
  for (const { line, value: { name } } of nodes) {
    if (names.has(name)) throw lineError(path, line, `node "${name}" is there twice, needed each once`);
    names.add(name);
  }
  const assertNode = (name: string, line: number) => {
    if (!names.has(name)) throw lineError(path, line, `there is no node "${name}", needed one of ${[...names].join(", ")}`);
  };
  const ends = new Map<string, number>();
  for (const { line, value: { a, b } } of links) {
    assertNode(a, line);
    assertNode(b, line);
    if (a === b) throw lineError(path, line, `a link of "${a}" to itself, needed two nodes`);
    const key = JSON.stringify([a, b].toSorted());
    if (ends.has(key)) throw lineError(path, line, `the link of line ${ends.get(key)} has the same ends; needed one with their capacity`);
    ends.set(key, line);
  }
  for (const { line, value: { node } } of attached) assertNode(node, line);
  const made = links.map(({ value: { a, b, capacity_bps, risk_group } }): Link => ({
    a,
    b,
    capacityBps: capacity_bps,
    riskGroup: risk_group,
  }));
  return {
    nodes: [...names],
    links: made,
    maintenance: parseList(path, text, "maintenance", MaintenanceItem, LISTS, true).map(({ line, value }) => {
      const down = value.links.map(([a, b]) => {
        const link = made.find((each) => each.a === a && each.b === b || each.a === b && each.b === a);
        if (link === undefined) throw lineError(path, line, `there is no link of "${a}" and "${b}", needed one of links`);
        return link;
      });
      for (const node of value.nodes) assertNode(node, line);
      return {
        name: value.name,
        links: new Set([...down, ...made.filter(({ a, b }) => value.nodes.includes(a) || value.nodes.includes(b))]),
      };
    }),
    attached: cutRanges(path, attached, ({ node }) => node, "nested may stand"),
  };
}

/** What is down. */
export interface Failure {
  readonly name: string;
  readonly links: ReadonlySet<Link>;
}

/** Every single link, every switch, every risk group of several links, and every maintenance. */
export function singleFailures({ nodes, links, maintenance }: Topology): Failure[] {
  const groups = new Map<string, Link[]>();
  for (const link of links) if (link.riskGroup !== null) groups.set(link.riskGroup, [...groups.get(link.riskGroup) ?? [], link]);
  return [
    ...links.map((link) => ({ name: `link ${linkName(link)}`, links: new Set([link]) })),
    ...nodes.map((node) => ({ name: `switch ${node}`, links: new Set(links.filter(({ a, b }) => a === node || b === node)) })),
    ...[...groups].filter(([, members]) => members.length > 1).map(([name, members]) => ({
      name: `group ${name}`,
      links: new Set(members),
    })),
    ...maintenance.map(({ name, links }) => ({ name: `maintenance ${name}`, links })),
  ];
}

export function linkName({ a, b }: Link): string {
  return `${a}-${b}`;
}

/** A link in one direction. */
export interface Hop {
  readonly link: Link;
  readonly from: string;
  readonly to: string;
}

/** Of the traffic from one node to another, the share that each hop carries; null where there is no way. */
export type Shares = ReadonlyMap<string, { readonly hop: Hop; readonly share: number }> | null;

/**
 * Routes by equal-cost multipath: at each node traffic splits evenly over the next hops that are on a shortest way (RFC 2992), each
 * link costing the same.
 *
 * @param down Links that are not there.
 * @returns What finds the shares from one node to another; it remembers distances.
 */
export function router({ nodes, links }: Topology, down: ReadonlySet<Link>): (source: string, target: string) => Shares {
  const { hopsFrom, distances } = waysOf(nodes, links, down);
  return (source, target) => split(source, distances(target), hopsFrom);
}

/** Places that a hash of flows has. */
export const HASH_BUCKETS = 256;

/**
 * Routes flows as switches do: each goes as a whole over one of the equal ways, at each node by a hash of its own. A flow is known by
 * its bucket, one of `HASH_BUCKETS`.
 *
 * @returns What finds the buckets that each hop takes, of those given.
 */
export function hashRouter(
  { nodes, links }: Topology,
  down: ReadonlySet<Link>,
): (source: string, target: string, buckets: Iterable<number>) => ReadonlyMap<string, ReadonlySet<number>> {
  const { hopsFrom, distances } = waysOf(nodes, links, down);
  const places = new Map(nodes.map((node, i) => [node, bucketPlaces(i)]));
  return (source, target, buckets) => {
    const toTarget = distances(target), taken = new Map<string, Set<number>>();
    for (const bucket of buckets) {
      let node = source;
      for (let distance = toTarget.get(source) ?? 0; distance > 0; distance--) {
        const hops = hopsFrom.get(node)!.filter(({ to }) => toTarget.get(to) === distance - 1);
        const { from, to } = hops[Math.floor(places.get(node)![bucket]! * hops.length / HASH_BUCKETS)]!, key = `${from}>${to}`;
        taken.set(key, (taken.get(key) ?? new Set()).add(bucket));
        node = to;
      }
    }
    return taken;
  };
}

/** Another order of the buckets at each node, so that a switch does not split what the one before it has split in the same way. */
function bucketPlaces(node: number): Uint8Array {
  let state = node + 1;
  const weights = Array.from({ length: HASH_BUCKETS }, () => state = (state * 1_103_515_245 + 12_345) % 2 ** 31);
  const places = new Uint8Array(HASH_BUCKETS);
  weights.map((weight, bucket) => ({ weight, bucket })).toSorted((a, b) => a.weight - b.weight).forEach(({ bucket }, place) =>
    places[bucket] = place
  );
  return places;
}

/** Hops that are there, and what finds the distances of all nodes to one, which it remembers. */
function waysOf(nodes: readonly string[], links: readonly Link[], down: ReadonlySet<Link>) {
  const hopsFrom = new Map<string, Hop[]>(nodes.map((node) => [node, []]));
  for (const link of links) {
    if (down.has(link)) continue;
    hopsFrom.get(link.a)!.push({ link, from: link.a, to: link.b });
    hopsFrom.get(link.b)!.push({ link, from: link.b, to: link.a });
  }
  const known = new Map<string, Map<string, number>>();
  const distances = (target: string): Map<string, number> => {
    let toTarget = known.get(target);
    if (toTarget === undefined) known.set(target, toTarget = distancesTo(target, hopsFrom));
    return toTarget;
  };
  return { hopsFrom, distances };
}

function distancesTo(target: string, hopsFrom: ReadonlyMap<string, readonly Hop[]>): Map<string, number> {
  const distances = new Map([[target, 0]]);
  const queue = [target];
  for (const node of queue) {
    for (const { to } of hopsFrom.get(node)!) {
      if (distances.has(to)) continue;
      distances.set(to, distances.get(node)! + 1);
      queue.push(to);
    }
  }
  return distances;
}

function split(source: string, toTarget: ReadonlyMap<string, number>, hopsFrom: ReadonlyMap<string, readonly Hop[]>): Shares {
  if (!toTarget.has(source)) return null;
  const shares = new Map<string, { hop: Hop; share: number }>();
  let here = new Map([[source, 1]]);
  for (let distance = toTarget.get(source)!; distance > 0; distance--) {
    const next = new Map<string, number>();
    for (const [node, share] of here) {
      const hops = hopsFrom.get(node)!.filter(({ to }) => toTarget.get(to) === distance - 1);
      for (const hop of hops) {
        shares.set(`${hop.from}>${hop.to}`, { hop, share: share / hops.length });
        next.set(hop.to, (next.get(hop.to) ?? 0) + share / hops.length);
      }
    }
    here = next;
  }
  return shares;
}
