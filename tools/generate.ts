/** `deno task gen`: writes every generated file that needs no compiler. */

import { configDocument } from "../agent/config_document.ts";
import { configDocument as collectorConfigDocument } from "../collector/config_document.ts";
import { sizingDocument } from "../collector/sizing_document.ts";
import { columnsDocument } from "../lib/columns_document.ts";
import { generateSkyfallLayouts } from "../lib/sflow/generate.ts";
import protobuf from "protobufjs";

const PROJECT = new URL("../", import.meta.url);

/** Generated files by path, and how to make their text. */
export const GENERATED: readonly { readonly path: string; readonly make: () => Promise<string> }[] = [
  {
    path: "lib/sflow/skyfall.gen.ts",
    make: async () => generateSkyfallLayouts(await Deno.readTextFile(new URL("lib/sflow/skyfall.x", PROJECT))),
  },
  { path: "lib/flowmessage.gen.ts", make: generateFlowMessage },
  // deno-lint-ignore require-await -- one shape for all
  { path: "docs/reference/columns.md", make: async () => columnsDocument() },
  // deno-lint-ignore require-await -- one shape for all
  { path: "docs/reference/agent_config.md", make: async () => configDocument() },
  // deno-lint-ignore require-await -- one shape for all
  { path: "docs/reference/collector_config.md", make: async () => collectorConfigDocument() },
  // deno-lint-ignore require-await -- one shape for all
  { path: "docs/reference/sizing.md", make: async () => sizingDocument() },
  { path: "jobs/report_page/page.gen.js", make: bundleReportPage },
];

/** The schema as an object, so that the collector parses no text. */
async function generateFlowMessage(): Promise<string> {
  const { root } = protobuf.parse(await Deno.readTextFile(new URL("lib/flowmessage.proto", PROJECT)), { keepCase: true });
  return `// Do not edit; made by \`deno task gen\` from lib/flowmessage.proto.\n\nexport const FLOWMESSAGE = ${
    JSON.stringify(root.toJSON(), null, 2)
  };\n`;
}

async function bundleReportPage(): Promise<string> {
  const args = ["bundle", "--quiet", "--unstable-raw-imports", "--platform", "browser", "--minify", "jobs/report_page/page.ts"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: PROJECT, stdout: "piped", stderr: "piped" })
    .output();
  if (!success) throw new Error(`Cannot bundle the report's page: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** The topic and lake of the present schema version, where there is none yet; a process of its own, as it loads DuckDB. */
async function makeVersionFixture(): Promise<void> {
  const args = ["run", "-A", "jobs/testdata/version_fixture.ts"];
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: PROJECT, stdout: "inherit", stderr: "inherit" }).output();
  if (!success) throw new Error("Cannot make the fixture of the present schema version");
}

if (import.meta.main) {
  for (const { path, make } of GENERATED) {
    await Deno.mkdir(new URL(".", new URL(path, PROJECT)), { recursive: true });
    await Deno.writeTextFile(new URL(path, PROJECT), await make());
    console.log(path);
  }
  await makeVersionFixture();
}
