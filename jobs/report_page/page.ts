/// <reference lib="dom" />
/** The report's page: draws the dependency graph; clicking a service shows its neighbours. Bundled into page.gen.js. */

import cytoscape from "cytoscape";

interface Edge {
  readonly client_service: string;
  readonly server_service: string;
  readonly server_port: number;
  readonly tx_bytes: number;
  readonly rx_bytes: number;
}

const edges = JSON.parse(document.getElementById("edges")!.textContent!) as Edge[];
const services = new Set(edges.flatMap((edge) => [edge.client_service, edge.server_service]));
const most = Math.max(1, ...edges.map((edge) => edge.tx_bytes + edge.rx_bytes));

const graph = cytoscape({
  container: document.getElementById("graph"),
  elements: [
    ...[...services].map((id) => ({ data: { id } })),
    ...edges.map((edge, i) => ({
      data: {
        id: `edge ${i}`,
        source: edge.client_service,
        target: edge.server_service,
        port: `:${edge.server_port}`,
        width: 1 + 5 * Math.sqrt((edge.tx_bytes + edge.rx_bytes) / most),
      },
    })),
  ],
  style: [
    {
      selector: "node",
      style: { label: "data(id)", "background-color": "#2b6cb0", "font-size": 12, "text-valign": "bottom", "text-margin-y": 4 },
    },
    {
      selector: "edge",
      style: {
        label: "data(port)",
        width: "data(width)",
        "font-size": 10,
        "curve-style": "bezier",
        "target-arrow-shape": "triangle",
        "line-color": "#a0aec0",
        "target-arrow-color": "#a0aec0",
        "text-background-color": "#ffffff",
        "text-background-opacity": 1,
      },
    },
    { selector: ".faded", style: { opacity: 0.15 } },
  ],
  layout: { name: "breadthfirst", directed: true, spacingFactor: 1.4, animate: false },
});

graph.on("tap", (event) => {
  graph.elements().removeClass("faded");
  const neighbours = document.getElementById("neighbours")!;
  if (event.target === graph || !event.target.isNode()) {
    neighbours.textContent = "Click a service to see its neighbours.";
    return;
  }
  const node = event.target as cytoscape.NodeSingular;
  graph.elements().not(node.closedNeighborhood()).addClass("faded");
  const names = (nodes: cytoscape.NodeCollection) => nodes.map((n) => n.id()).join(", ") || "none";
  neighbours.textContent = `${node.id()}: asked by ${names(node.incomers().nodes())}; asks ${names(node.outgoers().nodes())}`;
});
