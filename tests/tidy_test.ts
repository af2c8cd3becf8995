/** Every file of the project keeps the rules of style that a program can check. */

import assert from "node:assert/strict";
import { projectFiles, readSource } from "./sources.ts";
import { FILE_LINES_MAX, FUNCTION_LINES_MAX, tidySource, tidyText } from "./tidy.ts";

const files = await projectFiles();
const isText = (path: string) => /\.(ts|md|json|x|h|c|sql|csv|service|sh)$|\.ci\/run$/.test(path) && !/\.gen\.js$|deno\.lock$/.test(path);
const isSource = (path: string) => path.endsWith(".ts") && !path.endsWith(".gen.ts");

Deno.test("every file keeps the rules of style", async () => {
  const wrong: string[] = [];
  for (const path of files.filter(isText)) {
    const text = await readSource(path);
    wrong.push(...(isSource(path) ? tidySource(path, text) : tidyText(path, text)));
  }
  assert.deepEqual(wrong, []);
});

Deno.test("every file is imported by another, or started by name", async () => {
  const sources = new Map(
    await Promise.all(
      files.filter((path) => path.endsWith(".ts") || path === "deno.json").map(async (path) => [path, await readSource(path)] as const),
    ),
  );
  const isEntry = (path: string) => /_test\.ts$|^bench\/.*_bench\.ts$/.test(path);
  const isNamed = (path: string) => {
    const name = path.split("/").at(-1)!;
    return [...sources].some(([other, text]) =>
      other !== path && (text.includes(`/${name}"`) || text.includes(`"${name}"`) || other === "deno.json" && text.includes(path))
    );
  };
  assert.deepEqual([...sources.keys()].filter((path) => path.endsWith(".ts") && !isEntry(path) && !isNamed(path)), []);
});

const HEAD = "/** A file. */\n";

Deno.test("tidySource() finds a file that is too long", () => {
  assert.match(tidySource("lib/a.ts", HEAD + "export {};\n".repeat(FILE_LINES_MAX))[0]!, /401 lines/);
});

Deno.test("tidySource() finds a function that is too long", () => {
  assert.match(tidySource("lib/a.ts", `${HEAD}function f() {\n${"  f();\n".repeat(FUNCTION_LINES_MAX)}}\n`)[0]!, /a function of 72 lines/);
});

Deno.test("tidySource() finds any, an assertion, a swallowed error and a missing first sentence", () => {
  assert.match(tidySource("lib/a.ts", `${HEAD}const a: any = 1;\n`)[0]!, /:2: any/);
  assert.match(tidySource("lib/a.ts", `${HEAD}const a = 1 as Foo;\n`)[0]!, /:2: a type assertion/);
  assert.match(tidySource("lib/a.ts", `${HEAD}try { f(); } catch { g(); }\n`)[0]!, /:2: a caught error/);
  assert.match(tidySource("lib/a.ts", "const a = 1;\n")[0]!, /:1: the file does not begin/);
});

Deno.test("tidySource() finds a name that says nothing", () => {
  assert.match(tidySource("lib/utils.ts", HEAD)[0]!, /says nothing/);
});

Deno.test("tidyText() finds white space at the end, and paths of a machine", () => {
  assert.match(tidyText("a.md", "a \n")[0]!, /white space/);
  assert.match(tidyText("a.md", "see /ro" + "ot/x\n")[0]!, /a path or host/);
});
