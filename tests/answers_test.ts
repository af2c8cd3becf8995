/** `jobs run` of the answers as people run it: what is misused ends with 2, the reason and the line. */

import assert from "node:assert/strict";
import { version1Place } from "../jobs/testdata/topic.ts";

const PROJECT = new URL("../", import.meta.url).pathname;

async function run(args: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const { lake, directory } = await version1Place();
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${directory}/${name}`, text);
  const filled = args.map((arg) => arg.replace("FILES", directory));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "jobs/main.ts", "run", ...filled, "--lake", lake],
    cwd: PROJECT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
}

const MISUSED: readonly (readonly [args: readonly string[], reason: RegExp, files?: Record<string, string>])[] = [
  [["upstream", "client_service_name 12"], /Cannot find service .*the nearest are .*client_service_name 12 ä/],
  [["talkers", "--from", "2030-01-01"], /the lake has no flow of it, only from 2026-01-02/],
  [["talkers", "--from", "soon"], /Needed a time such as/],
  [["talkers", "--where", "no_column = 1"], /no_column/],
  [
    ["talkers", "--where", "1 = 1) ; copy (select 1) to 'x.csv' ; select (1"],
    /needed one statement that only reads|disabled by configuration/,
  ],
  [["zone-crossings"], /needed --zones FILE/],
  [["zone-crossings", "--zones", "FILES/z.csv"], /z\.csv\\", line 3: 10\.1\.0\.0\/16 overlaps 10\.0\.0\.0\/8 of line 2/, {
    "z.csv": "addresses,zone\n10.0.0.0/8,a\n10.1.0.0/16,b\n",
  }],
  [["link-failure", "--topology", "FILES/t.yaml"], /t\.yaml\\", line 2: there is no node \\"b\\"/, {
    "t.yaml": "nodes: [{name: a}]\nlinks: [{a: a, b: b, capacity_bps: 1}]\nattached: []\n",
  }],
  [["graph-diff", "--from", "2026-01-02"], /required option '--to <time>' not specified/],
];

for (const [args, reason, files] of MISUSED) {
  Deno.test(`jobs run ${args.join(" ")} is refused`, async () => {
    const { code, out, error } = await run(args, files);
    assert.match(error, reason);
    assert.deepEqual([code, out], [2, ""]);
  });
}

Deno.test("a table is cut with the number left out said, has no colour off a terminal, and its coverage stands beside", async () => {
  const { code, out, error } = await run(["dependency-graph", "--limit", "2", "--where", "server_port > 0"]);
  assert.equal(code, 0);
  assert.match(out, /\n10 more rows \(--limit 12 shows all\)\n$/);
  assert.ok(!out.includes("\x1b"));
  assert.match(error, /coverage: /);
});

Deno.test("a graph is printed as a graph", async () => {
  const { out } = await run(["dependency-graph", "--format", "mermaid"]);
  assert.match(out, /^flowchart LR\n {2}n0\[/);
});
