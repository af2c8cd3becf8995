/** What traffic there is: kinds of connections over each address family, each pair on a server port of its own. */

export const KINDS = ["short", "long", "large", "half-closed", "server-closes", "reset", "refused"] as const;
export type Kind = typeof KINDS[number];

/** Where a client of each family connects to; the server's sockets are of both families. */
export const HOSTS = { ipv4: "127.0.0.1", ipv6: "::1", mapped: "::ffff:127.0.0.1" } as const;
export type Family = keyof typeof HOSTS;
export const FAMILIES = ["ipv4", "ipv6", "mapped"] as const satisfies readonly Family[];

/** One kind over one family. */
export interface Plan {
  readonly kind: Kind;
  readonly family: Family;
  readonly port: number;
}

/** What the client is told. */
export interface ClientOrder {
  readonly plans: readonly Plan[];
  /** Connections of all plans together, the long ones aside. */
  readonly connections: number;
  readonly longPerPlan: number;
  readonly concurrency: number;
  /** Connections a second at most; 0 for as fast as they go. */
  readonly perSecond: number;
}
