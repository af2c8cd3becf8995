/** An application on four hosts, of which many run beside each other: who asks whom, how much. */

/** Index of a host in its cell; web clients, other clients, answering services, stores. */
export const HOSTS = [0, 1, 2, 3] as const;
/** As many as bench/load/wire.c counts a cell. */
export const CELL_HOSTS = 8;

export interface Asked {
  readonly server: string;
  readonly requestBytes: number;
  readonly replyBytes: number;
}

export interface Service {
  readonly name: string;
  readonly host: number;
  /** 0: it answers nobody. */
  readonly port: number;
  readonly asks: readonly Asked[];
}

const exchange = (server: string): Asked => ({ server, requestBytes: 400, replyBytes: 2_000 });
const push = (server: string): Asked => ({ server, requestBytes: 100_000, replyBytes: 100 });
const pull = (server: string): Asked => ({ server, requestBytes: 100, replyBytes: 100_000 });

export const SERVICES: readonly Service[] = [
  { name: "web", host: 0, port: 0, asks: [exchange("api"), exchange("auth")] },
  { name: "batch", host: 0, port: 0, asks: [push("store"), pull("api")] },
  { name: "mobile", host: 1, port: 0, asks: [exchange("api"), exchange("auth")] },
  { name: "export", host: 1, port: 0, asks: [pull("store"), push("cache")] },
  { name: "api", host: 2, port: 8001, asks: [exchange("store"), pull("cache")] },
  { name: "auth", host: 2, port: 8002, asks: [push("store")] },
  { name: "store", host: 3, port: 8003, asks: [] },
  { name: "cache", host: 3, port: 8004, asks: [] },
];

export interface Edge extends Asked {
  readonly client: string;
  /** Which of the client's it is. */
  readonly index: number;
  /** Hosts of its ends. */
  readonly from: number;
  readonly to: number;
  readonly kind: "exchange" | "push" | "pull";
}

export const EDGES: readonly Edge[] = SERVICES.flatMap(({ name, host, asks }) =>
  asks.map((asked, index) => ({
    ...asked,
    client: name,
    index,
    from: host,
    to: serviceNamed(asked.server).host,
    kind: asked.requestBytes > 10_000 ? "push" as const : asked.replyBytes > 10_000 ? "pull" as const : "exchange" as const,
  }))
);

/** @throws {Error} If the cell has no such service. */
export function serviceNamed(name: string): Service {
  const service = SERVICES.find((service) => service.name === name);
  if (service === undefined) throw new Error(`Cannot find service "${name}" of the cell`);
  return service;
}

/** What a service is called in the flows. */
export function nameIn(cell: number, service: string): string {
  return `cell${cell}-${service}`;
}

export function addressIn(cell: number, host: number): string {
  return `10.${cell}.${host}.1`;
}
