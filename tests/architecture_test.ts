/** The import rules: who may import whom, and where what is dangerous or foreign may be touched. */

import assert from "node:assert/strict";
import { PROJECT, projectFiles, readSource } from "./sources.ts";

interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly specifier: string;
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

/** What files of each folder may import, besides packages and their own folder. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  agent: ["ffi", "lib", "bpf"],
  collector: ["ffi", "lib"],
  jobs: ["ffi", "lib"],
  ffi: ["lib"],
  lib: [],
  bpf: [],
  chain: ["lib"],
};

/** Packages that one file alone may import, or the files named. */
const ONE_FILE: Readonly<Record<string, string | readonly string[]>> = {
  "apache-arrow": ["lib/flow_batch.ts", "jobs/audit/message_checksum.ts"], // the audit must not read with what it audits
  "@duckdb/node-api": "jobs/duckdb.ts",
  "@duckdb/node-bindings": "jobs/duckdb.ts",
  "@platformatic/kafka": "lib/topic/kafka.ts",
  "node:sqlite": "lib/topic/sqlite.ts",
  "cytoscape": ["jobs/report_page/map_view.ts", "jobs/report_page/map_style.ts"],
  "@dagrejs/dagre": "jobs/report_page/map_layout.ts",
  "d3-hierarchy": "jobs/report_page/map_layout.ts",
  "tabulator-tables": "jobs/report_page/grid.ts",
  "graphology-communities-louvain": "jobs/report/groupings.ts",
  "chart.js": "jobs/report_page/plots.ts",
  "cli-table3": "jobs/print.ts",
  "csv-parse/sync": "jobs/list_file.ts",
  "ipaddr.js": "lib/ip_address.ts",
  "protobufjs/minimal": "lib/flowmessage.ts",
  "prom-client": "lib/prometheus.ts",
  "yaml": "lib/config_file.ts",
};

/** Imports between files of the project, and of packages, by file. */
async function readImports(): Promise<Map<string, string[]>> {
  const programs = (await projectFiles()).filter((path) =>
    path.endsWith(".ts") && !path.endsWith("_test.ts") && folderOf(path) in MAY_IMPORT
  );
  const imports = new Map<string, string[]>();
  for (const path of programs) {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-remote", path],
      cwd: PROJECT,
      stdout: "piped",
      stderr: "null",
    })
      .output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: GraphModule[] };
    const module = modules.find(({ specifier }) => specifier === new URL(path, PROJECT).href);
    assert(module !== undefined, `${path} is not in its own module graph`);
    imports.set(
      path,
      (module.dependencies ?? []).map((d) => localPath(d.code?.specifier ?? d.type?.specifier ?? d.specifier) ?? d.specifier),
    );
  }
  return imports;
}

function localPath(specifier: string): string | null {
  return specifier.startsWith(PROJECT.href) ? specifier.slice(PROJECT.href.length) : null;
}

function folderOf(path: string): string {
  return path.split("/")[0]!;
}

const imports = await readImports();

Deno.test("every file imports only from the folders that its own may import", () => {
  const wrong: string[] = [];
  for (const [path, targets] of imports) {
    const allowed = [folderOf(path), ...MAY_IMPORT[folderOf(path)]!];
    for (const target of targets) if (imports.has(target) && !allowed.includes(folderOf(target))) wrong.push(`${path} imports ${target}`);
  }
  assert.deepEqual(wrong, []);
});

Deno.test("each foreign client is imported in one file alone", () => {
  const wrong: string[] = [];
  for (const [path, targets] of imports) {
    for (const target of targets) {
      const owner = ONE_FILE[target];
      if (owner !== undefined && ![owner].flat().includes(path)) wrong.push(`${path} imports ${target}, which is ${owner}'s`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no file imports itself by way of others", () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) return void cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) if (imports.has(target)) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  assert.deepEqual(cycles, []);
});

Deno.test("pointers and native libraries are touched under ffi/ alone", async () => {
  const wrong: string[] = [];
  for (const path of imports.keys()) {
    if (folderOf(path) !== "ffi" && /Deno\.(dlopen|UnsafePointer|UnsafeCallback|UnsafeFnPointer|Pointer)/.test(await readSource(path))) {
      wrong.push(path);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no exported name under ffi/ has a pointer in its type", async () => {
  const wrong: string[] = [];
  for (const path of imports.keys()) {
    if (folderOf(path) !== "ffi") continue;
    for (const line of (await readSource(path)).split("\n")) if (/^export .*Deno\.Pointer/.test(line)) wrong.push(`${path}: ${line}`);
  }
  assert.deepEqual(wrong, []);
});
