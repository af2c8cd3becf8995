/** How the map looks: colours of groups, and rules for circles, boxes and lines. */

import type cytoscape from "cytoscape";

/** Attempts to connect of which so many percent fail are drawn as trouble. */
export const TROUBLE_PERCENT = 5;
const INK = "#1a202c", LINE = "#64748b", TROUBLE = "#b42318", CHOSEN = "#0b3d91";
/** Neighbouring numbers get colours far apart. */
const GOLDEN_ANGLE = 137.508;

export function colourOf(group: number): string {
  return `hsl(${Math.round(group * GOLDEN_ANGLE + 210) % 360}, 52%, ${group % 2 === 0 ? 47 : 40}%)`;
}

export const MAP_STYLE: cytoscape.StylesheetCSS[] | cytoscape.StylesheetStyle[] = [
  {
    selector: "node",
    style: {
      label: "data(label)",
      width: "data(width)",
      height: "data(height)",
      "font-size": "data(fontSize)",
      color: INK,
      "min-zoomed-font-size": 7,
    },
  },
  {
    selector: "node.group",
    style: {
      "background-color": "data(colour)",
      "background-opacity": 0.1,
      "border-color": "data(colour)",
      "border-opacity": 0.6,
      "border-width": "data(borderWidth)",
      "font-weight": "bold",
      "text-valign": "top",
      "text-background-color": "#ffffff",
      "text-background-opacity": 0.8,
      "z-index": 1,
      "z-index-compare": "manual",
    },
  },
  {
    selector: "node.service",
    style: {
      "background-color": "data(colour)",
      "background-opacity": 0.45,
      "text-valign": "center",
      "text-outline-color": "#ffffff",
      "text-outline-width": "data(outlineWidth)",
      "text-outline-opacity": 0.7,
      "z-index": 3,
      "z-index-compare": "manual",
    },
  },
  {
    selector: "node.box",
    style: {
      shape: "round-rectangle",
      "background-color": "#ffffff",
      "border-color": "data(colour)",
      "border-width": 2,
      "text-valign": "center",
      "z-index": 3,
      "z-index-compare": "manual",
    },
  },
  {
    selector: "edge",
    style: {
      label: "data(label)",
      width: "data(width)",
      "font-size": "data(fontSize)",
      "min-zoomed-font-size": 7,
      color: INK,
      "text-background-color": "#ffffff",
      "text-background-opacity": 0.85,
      "curve-style": "bezier",
      "line-color": LINE,
      "line-opacity": 0.55,
      "target-arrow-color": LINE,
      "target-arrow-shape": "triangle",
      "arrow-scale": 1,
      "z-index": 2,
      "z-index-compare": "manual",
    },
  },
  {
    selector: "edge[endLabel]",
    style: { "source-label": "data(endLabel)", "source-text-offset": (edge: cytoscape.EdgeSingular) => Number(edge.data("endOffset")) },
  },
  { selector: "edge[?trouble]", style: { "line-color": TROUBLE, "target-arrow-color": TROUBLE } },
  { selector: "node.service[?trouble], node.box[?trouble]", style: { "border-color": TROUBLE, "border-width": "data(troubleWidth)" } },
  { selector: "edge.near", style: { "line-opacity": 0.9 } },
  { selector: ".faded", style: { opacity: 0.18, "text-opacity": 0 } },
  {
    selector: "node.chosen",
    style: { "border-color": CHOSEN, "border-width": "data(troubleWidth)", "background-opacity": 1, "z-index": 5 },
  },
];
