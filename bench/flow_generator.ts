/**
 * A fleet's day of flow rows, the same for the same seed, and what the right answers about them are.
 *
 * A fleet has 2,000 services of 10 instances each, an instance a host of its own; 20,000 pairs of services talk, some few of
 * them most (Zipf), and few services are called by very many. A conversation (client host, server host, port) and minute is
 * told by both ends, a row each. Rows come in the order of minutes, in messages of up to 1,024 (as more of so many hosts are not 1 MB), as a collector's windows leave.
 *
 *     const shape = { rows: 1_000_000, minutes: 1_440, seed: 1 };
 *     for (const { partition, value } of flowMessages(shape)) ...   // bench/flow_messages.ts: messages for a topic
 *     await writeFlowLake(shape, "/tmp/lake");                      // bench/flow_lake.ts: the same rows, straight into lake files
 *     for (const edge of expectedEdges(shape)) ...                  // what any dependency graph of them must say, exactly
 *     expectedTotals(shape)                                         // sums over all rows
 *
 * Every value is a function of the conversation's number, in whole numbers below 2^53, written once here and once as SQL in
 * flow_lake.ts. Answers are added up from `conversation()` and know nothing of rows, messages or queries: a bench that needs
 * others (by minute, by zone) adds them up in the same way.
 */

export interface FlowShape {
  /** Rounded up to the same even number for each minute: see `rowsOf()`. */
  readonly rows: number;
  /** Minutes that the rows are spread over, from `START_US`. */
  readonly minutes: number;
  readonly seed: number;
}

/** 2026-01-02 00:00 UTC. */
export const START_US = Date.UTC(2026, 0, 2) * 1_000;
export const MINUTE_US = 60_000_000;
export const SERVICES = 2_000, INSTANCES = 10, EDGES = 20_000, ZONES = 8;
export const MESSAGE_CONVERSATIONS = 512;
/** Places that conversations are dealt to; an edge has one or more of them. */
export const SLOTS = 1 << 17;
/** Of a hundred edges so many keep connections open, and open no new ones. */
const POOLED_PERCENT = 30;

/** Two services that talk. */
export interface FlowEdge {
  readonly client: number;
  readonly server: number;
  readonly port: number;
  readonly isPooled: boolean;
  readonly rttUs: number;
}

/** A conversation in a minute, as both ends saw it. */
export interface Conversation {
  readonly edge: FlowEdge;
  /** Hosts, of 0 to before `SERVICES * INSTANCES`. */
  readonly clientHost: number;
  readonly serverHost: number;
  readonly minute: number;
  readonly startUs: number;
  readonly endUs: number;
  readonly opened: number;
  readonly failed: number;
  /** Records of the agent at each end. */
  readonly events: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly clientRetransmits: number;
  readonly serverRetransmits: number;
  readonly busyUs: number;
  /** Of the client; the server's are 7 us longer. */
  readonly srttUs: number;
  readonly srttUsMin: number;
  readonly srttUsMax: number;
  readonly firstPort: number;
  readonly portStep: number;
  readonly portCount: number;
}

/** Conversations of each minute. */
export function conversationsAMinute({ rows, minutes }: FlowShape): number {
  return Math.ceil(rows / minutes / 2);
}

/** Rows that there are. */
export function rowsOf(shape: FlowShape): number {
  return 2 * shape.minutes * conversationsAMinute(shape);
}

/** 2^31 - 1, a prime. */
const MODULUS = 2_147_483_647;
export const SEED_STEP = 7_919;

/** Another number below 2^31, by no rule that an encoding of differences could use; the same in SQL. */
export function mix(x: number): number {
  return ((x % 46_337) * (x % 44_449) + 31 * x) % MODULUS;
}

/** Services and who talks with whom, of a seed. */
export class Fleet {
  readonly #edges: readonly FlowEdge[];
  readonly #edgeOfSlot: Uint16Array;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#edges = makeEdges(seed);
    this.#edgeOfSlot = dealSlots(this.#edges.length);
  }

  edgeOfSlot(slot: number): FlowEdge {
    return this.#edges[this.#edgeOfSlot[slot]!]!;
  }

  /** Conversation number `k` of those that begin at 0, `perMinute` of them in each minute. */
  conversation(k: number, perMinute: number): Conversation {
    const minute = Math.floor(k / perMinute);
    const a = mix((k * 48_271 + this.#seed * SEED_STEP) % MODULUS), b = mix(a), c = mix(b);
    const edge = this.edgeOfSlot(a % SLOTS);
    const opened = edge.isPooled ? 0 : 1 + c % 4, events = edge.isPooled ? 6 : opened;
    const startUs = START_US + minute * MINUTE_US + b % 50_000_000, srttUs = edge.rttUs + c % 200;
    return {
      edge,
      clientHost: edge.client * INSTANCES + Math.floor(a / SLOTS) % INSTANCES,
      serverHost: edge.server * INSTANCES + b % INSTANCES,
      minute,
      startUs,
      endUs: startUs + 1 + c % 9_000_000,
      opened,
      failed: b % 997 === 0 ? 1 : 0,
      events,
      bytesSent: events * (200 + b % 2_000),
      bytesReceived: events * (500 + c % 20_000),
      clientRetransmits: c % 101 < 3 ? 1 + c % 3 : 0,
      serverRetransmits: b % 101 < 2 ? 1 : 0,
      busyUs: events * (b % 5_000),
      srttUs,
      srttUsMin: srttUs - b % 50,
      srttUsMax: srttUs + b % 300,
      firstPort: 32_768 + c % 20_000,
      portStep: 1 + b % 2_000,
      portCount: edge.isPooled ? 4 : opened,
    };
  }
}

/** `EDGES` different pairs of services; of the servers the first are called far more often. */
function makeEdges(seed: number): FlowEdge[] {
  const edges: FlowEdge[] = [], known = new Set<number>();
  for (let x = mix(seed + 1); edges.length < EDGES; x = mix(x + 1)) {
    const client = edges.length % SERVICES, v = x % 2 ** 20;
    const squared = Math.floor(v * v / 2 ** 20), server = Math.floor(SERVICES * squared * squared / 2 ** 40);
    if (server === client || known.has(client * SERVICES + server)) continue;
    known.add(client * SERVICES + server);
    edges.push({ client, server, port: 8_000 + server, isPooled: mix(x) % 100 < POOLED_PERCENT, rttUs: 100 + mix(x) % 1_900 });
  }
  return edges;
}

/** One slot for each edge, and the others by Zipf. */
function dealSlots(edges: number): Uint16Array {
  const slots = new Uint16Array(SLOTS), harmonic = Math.log(edges);
  for (let slot = 0; slot < SLOTS; slot++) {
    slots[slot] = slot < edges ? slot : Math.min(edges - 1, Math.floor(Math.exp(harmonic * (slot - edges) / (SLOTS - edges))) - 1);
  }
  return slots;
}

/** What a dependency graph says of two services. */
export interface ExpectedEdge {
  readonly clientService: string;
  readonly serverService: string;
  readonly serverPort: number;
  /** Rows of both ends. */
  rows: number;
  connections: number;
  failedConnections: number;
  txBytes: number;
  rxBytes: number;
  /** Of both ends. */
  retransmits: number;
  /** The client's. */
  srttUsSum: number;
  srttSamples: number;
}

/** Every edge with rows, in no order. */
export function expectedEdges(shape: FlowShape): ExpectedEdge[] {
  const perMinute = conversationsAMinute(shape), fleet = new Fleet(shape.seed);
  const edges = new Map<FlowEdge, ExpectedEdge>();
  for (let k = 0; k < shape.minutes * perMinute; k++) {
    const seen = fleet.conversation(k, perMinute);
    let edge = edges.get(seen.edge);
    if (edge === undefined) edges.set(seen.edge, edge = newEdge(seen.edge));
    edge.rows += 2;
    edge.connections += seen.opened;
    edge.failedConnections += seen.failed;
    edge.txBytes += seen.bytesSent;
    edge.rxBytes += seen.bytesReceived;
    edge.retransmits += seen.clientRetransmits + seen.serverRetransmits;
    edge.srttUsSum += seen.events * seen.srttUs;
    edge.srttSamples += seen.events;
  }
  return [...edges.values()];
}

function newEdge({ client, server, port }: FlowEdge): ExpectedEdge {
  const ends = { clientService: serviceName(client), serverService: serviceName(server), serverPort: port };
  const amounts = { connections: 0, failedConnections: 0, txBytes: 0, rxBytes: 0, retransmits: 0, srttUsSum: 0, srttSamples: 0 };
  return { ...ends, rows: 0, ...amounts };
}

/** Sums over the rows of both ends. */
export interface ExpectedTotals {
  readonly rows: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly connectionsOpened: number;
}

export function expectedTotals(shape: FlowShape): ExpectedTotals {
  const edges = expectedEdges(shape), twice = (of: (edge: ExpectedEdge) => number) => 2 * edges.reduce((sum, edge) => sum + of(edge), 0);
  return {
    rows: rowsOf(shape),
    bytesSent: twice((edge) => edge.txBytes),
    bytesReceived: twice((edge) => edge.rxBytes),
    connectionsOpened: twice((edge) => edge.connections),
  };
}

const DOMAINS = ["payments", "search", "feed", "ads", "profile", "messaging", "identity", "media"];
const KINDS = ["api", "store", "cache", "worker", "gateway"];

export function serviceName(service: number): string {
  return `${DOMAINS[service % DOMAINS.length]}-${KINDS[service % KINDS.length]}-${service}`;
}

/** What a row says of its host and process. */
export interface Host {
  readonly host: number;
  readonly id: string;
  readonly name: string;
  readonly bootId: string;
  /** IPv4, 32 bits: 10.zone.x.y; zone z of `ZONES` is 10.z.0.0/16. */
  readonly address: number;
  readonly addressText: string;
  readonly service: string;
  readonly executable: string;
  readonly pid: number;
  readonly path: string;
  readonly commandLine: string;
  readonly userId: number;
  readonly cgroup: string;
  readonly networkNamespace: number;
}

export function hostOf(host: number): Host {
  const service = Math.floor(host / INSTANCES), name = serviceName(service), zone = service % ZONES;
  const inZone = Math.floor(service / ZONES) * INSTANCES + host % INSTANCES + 1;
  const hex = (salt: number) => [0, 1, 2, 3].map((word) => mix(mix(host * 4 + word + salt)).toString(16).padStart(8, "0")).join("");
  return {
    host,
    id: hex(1),
    name: `host-${host}.example`,
    bootId: hex(100_000),
    address: 0x0a00_0000 + zone * 65_536 + inZone,
    addressText: `10.${zone}.${inZone >> 8}.${inZone & 255}`,
    service: name,
    executable: name.slice(0, 15),
    pid: 1_000 + mix(host + 7) % 60_000,
    path: `/opt/${name}/bin/${name}`,
    commandLine: `/opt/${name}/bin/${name} --port ${8_000 + service} --config /etc/${name}/config.yaml`,
    userId: 1_000 + service % 50,
    cgroup: `/system.slice/${name}.service`,
    networkNamespace: 4_026_531_840,
  };
}
