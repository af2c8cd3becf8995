/** The agent's configuration file. */

import assert from "node:assert/strict";
import { parseConfigFile as parseFile } from "../lib/config_file.ts";
import { CONFIG_FILE, DEFAULT_CONFIG, resolveConfig } from "./config.ts";

const parseConfigFile = (path: string, text: string) => parseFile(path, text, CONFIG_FILE);

const EVERY_KEY = `# what an operator would write
collectors: [collector.example.net:6343, "[2001:db8::7]:6344"]
lanes: 8
key_file: /etc/skyfall/key
enterprise: 4711
interop: true
interim_interval_ms: 5000
services:
  - command_line: ^nginx
    service_name: web
redact:
  - (?<=--pin )\\d+
cpu_limit_percent: 2.5
metrics_listen: "[::1]:9100"
nice: 10
`;

Deno.test("parseConfigFile() reads every key", () => {
  const config = resolveConfig(parseConfigFile("a.yaml", EVERY_KEY), {});
  const { serviceRules, redact, metricsListen, ...rest } = config;
  assert.deepEqual(serviceRules.map(({ command_line, service_name }) => [command_line.source, service_name]), [["^nginx", "web"]]);
  assert.deepEqual(redact.map(({ source, flags }) => [source, flags]), [["(?<=--pin )\\d+", "g"]]);
  assert.deepEqual([metricsListen?.address.at(-1), metricsListen?.port], [1, 9_100]);
  assert.deepEqual(rest, {
    collectors: [{ host: "collector.example.net", port: 6_343 }, { host: "2001:db8::7", port: 6_344 }],
    lanes: 8,
    keyFile: "/etc/skyfall/key",
    enterprise: 4_711,
    interop: true,
    interimIntervalMs: 5_000,
    cpuLimitPercent: 2.5,
    nice: 10,
  });
});

Deno.test("parseConfigFile() reads JSON, and an empty file, which leaves the defaults", () => {
  const file = parseConfigFile("a.json", '{ "services": [{ "command_line": "^nginx", "service_name": "web" }] }');
  assert.equal(file.services?.[0]?.service_name, "web");
  const collector = { host: "10.0.0.1", port: 6_343 };
  assert.deepEqual(resolveConfig(parseConfigFile("a.yaml", "# nothing\n"), { collector }), { ...DEFAULT_CONFIG, collectors: [collector] });
});

Deno.test("resolveConfig() prefers flags to the file, and needs a collector", () => {
  const file = parseConfigFile("a.yaml", EVERY_KEY);
  const config = resolveConfig(file, { interim_interval_ms: 700, collector: { host: "::1", port: 1 } });
  assert.deepEqual([config.interimIntervalMs, config.collectors.map(({ host }) => host), config.nice], [700, ["::1"], 10]);
  assert.throws(() => resolveConfig({}, {}), { name: "SyntaxError", message: /--collector/ });
  assert.throws(() => resolveConfig({ ...file, collector: { host: "::1", port: 1 } }, {}), { name: "SyntaxError", message: /one of them/ });
});

const WRONG: readonly (readonly [name: string, text: string, message: string])[] = [
  ["no YAML", "nice: 1\nredact: [", "line 2: Flow sequence in block collection must be sufficiently indented and end with a ]"],
  ["a value twice", "nice: 1\nnice: 2\n", "line 2: Map keys must be unique"],
  ["a list", "- nice\n", 'line 1: the file: ["nice"], needed a mapping of keys'],
  ["an impossible number", "\n\nnice: 1\ninterim_interval_ms: -5\n", "line 4: interim_interval_ms: -5, needed 100 to 60000"],
  ["a number that is none", "cpu_limit_percent: much\n", 'line 1: cpu_limit_percent: "much", needed 0.1 to 100'],
  ["a fraction", "nice: 1.5\n", "line 1: nice: 1.5, needed 0 to 19"],
  ["a text for a truth value", 'interop: "yes"\n', 'line 1: interop: "yes", needed true or false'],
  ["a collector without a port", "collector: nowhere\n", 'line 1: collector: "nowhere", needed "HOST:PORT"'],
  ["an address that is none", "collector: 10.0.0.256:6343\n", 'line 1: collector: "10.0.0.256:6343", needed "HOST:PORT"'],
  ["no collectors", "collectors: []\n", "line 1: collectors: [], needed a list of 1 to 64 collectors"],
  ["a collector of several without a port", "collectors:\n  - a:1\n  - b\n", 'line 3: collectors[1]: "b", needed "HOST:PORT"'],
  ["metrics for everybody", "metrics_listen: 0.0.0.0:9643\n", 'line 1: metrics_listen: "0.0.0.0:9643", needed "ADDRESS:PORT" of 127.0.0.1'],
  ["an expression that is none", "redact:\n  - x\n  - (\n", 'line 3: redact[1]: "(", needed a regular expression'],
  [
    "an unknown key",
    "nice: 1\nservice: []\n",
    "line 2: service: there is no such key, needed one of collector, collectors, lanes, key_file, enterprise",
  ],
  [
    "an unknown key of a rule",
    "services:\n  - command_line: x\n    service_name: y\n    pid: 1\n",
    "line 4: services[0].pid: there is no such key",
  ],
  [
    "a rule without a name",
    '{"services": [\n{"command_line": "x"}]}',
    "line 2: services[0].service_name: it is missing, needed 1 to 64 characters",
  ],
];

for (const [name, text, message] of WRONG) {
  Deno.test(`parseConfigFile() refuses ${name}, and says where`, () => {
    assert.throws(() => parseConfigFile("a.yaml", text), (error: unknown) => {
      assert(error instanceof SyntaxError);
      assert.ok(error.message.startsWith(`Cannot read configuration "a.yaml", ${message}`), error.message);
      return true;
    });
  });
}

Deno.test("parseConfigFile() refuses a file that unfolds to gigabytes", () => {
  const bomb = [
    "a: &a [x]",
    ...Array.from({ length: 30 }, (_, i) => `${"b".repeat(i + 1)}: &l${i} [${Array(9).fill(i ? `*l${i - 1}` : "*a")}]`),
  ];
  assert.throws(() => parseConfigFile("a.yaml", bomb.join("\n")), { name: "SyntaxError", message: /alias/ });
});
