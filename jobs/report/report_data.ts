/** What the report's page is given: everything that it draws, in one JSON text. */

export interface ReportData {
  /** Milliseconds since 1970 UTC of the minutes that it is about. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly coverage: string;
  /** Services, those with the most traffic first; elsewhere they go by their place here. */
  readonly services: readonly string[];
  /** Ways to put services into groups, the most telling first. */
  readonly groupings: readonly Grouping[];
  readonly edges: ReportEdges;
  readonly edgesLeftOut: number;
  readonly traffic: Traffic;
  readonly tables: readonly ReportTable[];
}

/** Each service is in one group. */
export interface Grouping {
  readonly name: string;
  /** What it means that services are in one group. */
  readonly meaning: string;
  readonly groups: readonly string[];
  /** Group of each service. */
  readonly groupOf: readonly number[];
}

/** Edges, those with the most bytes first: a column each. */
export interface ReportEdges {
  readonly client: readonly number[];
  readonly server: readonly number[];
  readonly server_port: readonly number[];
  readonly network_transport: readonly string[];
  readonly connections: readonly number[];
  readonly failed_connections: readonly number[];
  readonly tx_bytes: readonly number[];
  readonly rx_bytes: readonly number[];
  readonly retransmits: readonly number[];
  readonly srtt_us: readonly (number | null)[];
}

/** Rates over time. A step without a conversation is 0. */
export interface Traffic {
  readonly stepMs: number;
  /** Names of servers with the most bytes, and what the others have together. */
  readonly servers: readonly { readonly name: string; readonly bytesPerSecond: readonly number[] }[];
  readonly connectionsPerSecond: readonly number[];
  readonly failedPerSecond: readonly number[];
  readonly retransmitsPerSecond: readonly number[];
}

/** An answer with at most so many rows as a page holds. */
export interface ReportTable {
  readonly name: string;
  readonly description: string;
  readonly columns: readonly { readonly name: string; readonly isNumber: boolean }[];
  readonly rows: readonly (readonly (string | number | null)[])[];
  readonly leftOut: number;
}
