/** The agent's configuration file. */

import assert from "node:assert/strict";
import { parseServiceRules } from "./config.ts";

Deno.test("parseServiceRules() reads rules in order", () => {
  const rules = parseServiceRules("a.json", '{ "services": [{ "command_line": "^nginx", "service_name": "web" }] }');
  assert.deepEqual(rules.map(({ command_line, service_name }) => [command_line.source, service_name]), [["^nginx", "web"]]);
});

for (
  const [name, text, message] of [
    ["no JSON", "{", /"a.json": it is no JSON/],
    ["an unknown key", '{ "services": [], "service": 1 }', /service/],
    [
      "a name that is too long",
      `{ "services": [{ "command_line": "x", "service_name": "${"x".repeat(65)}" }] }`,
      /services\[0\]\.service_name/,
    ],
    [
      "no expression",
      '{ "services": [{ "command_line": "(", "service_name": "x" }] }',
      /services\[0\]\.command_line is no regular expression/,
    ],
  ] as const
) {
  Deno.test(`parseServiceRules() refuses ${name}, and says where`, () => {
    assert.throws(() => parseServiceRules("a.json", text), { name: "SyntaxError", message });
  });
}
