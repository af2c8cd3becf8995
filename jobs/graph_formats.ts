/** Writes answers whose rows are edges as graphs, for the programs that draw them. */

import { bytesText, durationText } from "./unit_text.ts";
import type { Answer } from "./portable_sql.ts";

export const GRAPH_FORMATS = ["dot", "mermaid", "graphml", "graph-json", "node-graph"] as const;
export type GraphFormat = typeof GRAPH_FORMATS[number];

// deno-lint-ignore no-control-regex -- they are what it is about
const CONTROL = /[\u0000-\u001f]/g;

interface Edge {
  readonly client: string;
  readonly server: string;
  /** What people read beside the arrow. */
  readonly label: string;
  readonly bytes: number;
  /** The other columns. */
  readonly values: readonly (readonly [name: string, value: string | number | null])[];
}

interface Graph {
  readonly services: readonly string[];
  readonly edges: readonly Edge[];
}

/** @param answer Of an analysis that `isGraph`. */
export function formatGraph(answer: Answer, format: GraphFormat): string {
  const graph = graphOf(answer);
  switch (format) {
    case "dot":
      return dot(graph);
    case "mermaid":
      return mermaid(graph);
    case "graphml":
      return graphml(graph);
    case "graph-json":
      return jsonGraph(graph);
    case "node-graph":
      return nodeGraph(graph);
  }
}

function graphOf({ columns, rows }: Answer): Graph {
  const edges = rows.map((row) => {
    const values = columns.filter(({ name }) => name !== "client_service" && name !== "server_service").map(({ name, isNumber }) => {
      const value = row[name];
      return [name, value === null || value === undefined ? null : isNumber ? Number(value) : String(value)] as const;
    });
    const value = (name: string) => Number(row[name] ?? 0);
    const bytes = value("tx_bytes") + value("rx_bytes") + value("after_bytes");
    const change = row["change"] === undefined ? "" : `${row["change"]}: `;
    const srtt = row["srtt_us"] === null || row["srtt_us"] === undefined ? "" : `, ${durationText(value("srtt_us"))}`;
    const label = `${change}${row["server_port"]}/${row["network_transport"]}, ${bytesText(bytes)}${srtt}`;
    return { client: String(row["client_service"]), server: String(row["server_service"]), label, bytes, values };
  });
  return { services: [...new Set(edges.flatMap(({ client, server }) => [client, server]))].toSorted(), edges };
}

/** The DOT language of Graphviz; in a quoted text only quotes and backslashes are special (doc/info/lang.html). */
function dot({ services, edges }: Graph): string {
  const quote = (text: string) =>
    `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replace(/\r?\n|\r/g, "\\n").replace(CONTROL, " ")}"`;
  const nodes = services.map((service, i) => `  n${i} [label=${quote(service)}];`);
  const index = new Map(services.map((service, i) => [service, i]));
  const arrows = edges.map(({ client, server, label }) => `  n${index.get(client)} -> n${index.get(server)} [label=${quote(label)}];`);
  return ["digraph services {", "  rankdir=LR;", "  node [shape=box];", ...nodes, ...arrows, "}"].join("\n");
}

/** Mermaid's flowchart; texts in quotes, with what is special as its number ("Entity codes to escape characters"). */
function mermaid({ services, edges }: Graph): string {
  const quote = (text: string) =>
    `"${Array.from(text, (character) => /[\w .:,/()-]/.test(character) ? character : `#${character.codePointAt(0)};`).join("")}"`;
  const index = new Map(services.map((service, i) => [service, i]));
  return [
    "flowchart LR",
    ...services.map((service, i) => `  n${i}[${quote(service)}]`),
    ...edges.map(({ client, server, label }) => `  n${index.get(client)} -->|${quote(label)}| n${index.get(server)}`),
  ].join("\n");
}

/** GraphML (graphml.graphdrawing.org); a number is a `double`, or a `long` where every edge has a whole one. */
function graphml({ services, edges }: Graph): string {
  const names = edges[0]?.values.map(([name]) => name) ?? [];
  const typeOf = (i: number) => {
    const values = edges.map(({ values }) => values[i]![1]).filter((value) => value !== null);
    return values.every(Number.isInteger) ? "long" : values.every((value) => typeof value === "number") ? "double" : "string";
  };
  const index = new Map(services.map((service, i) => [service, i]));
  const data = (key: string, value: string | number | null) =>
    value === null ? "" : `<data key="${key}">${escapeXml(String(value))}</data>`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
    '  <key id="service" for="node" attr.name="service" attr.type="string"/>',
    ...names.map((name, i) => `  <key id="${name}" for="edge" attr.name="${name}" attr.type="${typeOf(i)}"/>`),
    '  <graph id="services" edgedefault="directed">',
    ...services.map((service, i) => `    <node id="n${i}">${data("service", service)}</node>`),
    ...edges.map(({ client, server, values }, i) =>
      `    <edge id="e${i}" source="n${index.get(client)}" target="n${index.get(server)}">${
        values.map(([name, value]) => data(name, value)).join("")
      }</edge>`
    ),
    "  </graph>",
    "</graphml>",
  ].join("\n");
}

function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  // deno-lint-ignore no-control-regex -- XML 1.0 has no way to write them
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd").replace(/[&<>"]/g, (c) => entities[c]!);
}

/** JSON Graph Format, version 2 (jsongraphformat.info). */
function jsonGraph({ services, edges }: Graph): string {
  const nodes = Object.fromEntries(services.map((service) => [service, { label: service }]));
  const drawn = edges.map(({ client, server, values }) => ({
    source: client,
    target: server,
    relation: "depends on",
    metadata: Object.fromEntries(values),
  }));
  return JSON.stringify({ graph: { directed: true, type: "service dependencies", nodes, edges: drawn } }, null, 2);
}

/** The two data frames of Grafana's node graph panel, as its JSON of frames has them. */
function nodeGraph({ services, edges }: Graph): string {
  const sum = (of: (edge: Edge) => boolean) => edges.filter(of).reduce((total, { bytes }) => total + bytes, 0);
  const field = (name: string, type: "string" | "number", values: readonly unknown[], config = {}) => ({ name, type, values, config });
  const nodes = [
    field("id", "string", services),
    field("title", "string", services),
    field("mainstat", "number", services.map((service) => sum(({ server }) => server === service)), {
      displayName: "asked",
      unit: "bytes",
    }),
    field("secondarystat", "number", services.map((service) => sum(({ client }) => client === service)), {
      displayName: "asks",
      unit: "bytes",
    }),
  ];
  const arrows = [
    field("id", "string", edges.map((_, i) => `e${i}`)),
    field("source", "string", edges.map(({ client }) => client)),
    field("target", "string", edges.map(({ server }) => server)),
    field("mainstat", "string", edges.map(({ label }) => label)),
    ...(edges[0]?.values ?? []).map(([name, value], i) =>
      field(`detail__${name}`, typeof value === "number" ? "number" : "string", edges.map(({ values }) => values[i]![1]))
    ),
  ];
  const frame = (name: string, fields: readonly ReturnType<typeof field>[]) => ({
    schema: {
      name,
      meta: { preferredVisualisationType: "nodeGraph" },
      fields: fields.map(({ name, type, config }) => ({ name, type, config })),
    },
    data: { values: fields.map(({ values }) => values) },
  });
  return JSON.stringify([frame("nodes", nodes), frame("edges", arrows)], null, 2);
}
