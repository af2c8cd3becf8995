/** The collector's configuration file. */

import assert from "node:assert/strict";
import { parseConfigFile } from "../lib/config_file.ts";
import { parseAddressRange } from "../lib/ip_address.ts";
import { CONFIG_FILE, CONFIG_KEYS, DEFAULT_CONFIG, resolveConfig } from "./config.ts";

const keys = (path: string) => `keys of ${path}`;

const EVERY_KEY = `listen: "[::]:6343"
topic: sqlite:/var/lib/skyfall/topic.db
workers: 3
table_rows: 4096
window_s: 30
enterprise: 4711
format: flowmessage
spool_directory: /var/lib/skyfall/spool
spool_bytes_max: 1000000
allow: [192.0.2.0/24, 2001:db8::1]
source_limit: 5000
key_file: /etc/skyfall/keys
metrics_listen: "off"
log_level: warn
`;

Deno.test("the collector's file sets every key", () => {
  const file = parseConfigFile("a.yaml", EVERY_KEY, CONFIG_FILE);
  assert.deepEqual(Object.keys(file).sort(), Object.keys(CONFIG_KEYS).sort());
  assert.deepEqual(resolveConfig(file, {}, true, keys), {
    listen: { address: new Uint8Array(16), port: 6_343 },
    listenText: "[::]:6343",
    topicUrl: "sqlite:/var/lib/skyfall/topic.db",
    workers: 3,
    tableRows: 4_096,
    windowS: 30,
    enterprise: 4_711,
    format: "flowmessage",
    spoolDirectory: "/var/lib/skyfall/spool",
    spoolBytesMax: 1_000_000,
    allowed: [parseAddressRange("192.0.2.0/24"), parseAddressRange("2001:db8::1")],
    sourceLimit: 5_000,
    keysText: "keys of /etc/skyfall/keys",
    takeOver: true,
    metricsListen: null,
    logLevel: "warn",
  });
});

Deno.test("resolveConfig() prefers flags to the collector's file, fills in defaults, and needs a topic and where to listen", () => {
  const file = parseConfigFile("a.yaml", 'listen: 127.0.0.1:1\ntopic: "sqlite:x"\nwindow_s: 30\n', CONFIG_FILE);
  const { windowS, listenText, workers } = resolveConfig(file, { window_s: 7 }, false, keys);
  assert.deepEqual([windowS, listenText, workers], [7, "127.0.0.1:1", DEFAULT_CONFIG.workers]);
  assert.throws(() => resolveConfig({}, { topic: "sqlite:x" }, false, keys), {
    name: "SyntaxError",
    message: /needed --listen or the key listen/,
  });
  assert.throws(() => resolveConfig({ listen: file.listen }, {}, false, keys), {
    name: "SyntaxError",
    message: /needed --topic or the key topic/,
  });
});

const WRONG: readonly (readonly [text: string, message: string])[] = [
  ["\nlisten: nowhere\n", 'line 2: listen: "nowhere", needed "ADDRESS:PORT"'],
  ["workers: 0\n", "line 1: workers: 0, needed 1 to 256"],
  ["metrics_listen: 0.0.0.0:1\n", 'line 1: metrics_listen: "0.0.0.0:1", needed "ADDRESS:PORT" of 127.0.0.1'],
  ["allow:\n  - 10.0.0.0/8\n  - 10.0.0.0/33\n", 'line 3: allow[1]: "10.0.0.0/33", needed "ADDRESS/BITS" or an address'],
  ["log_level: loud\n", 'line 1: log_level: "loud", needed info, warn, error'],
  ["window: 5\n", "line 1: window: there is no such key, needed one of listen, topic, workers"],
];

for (const [text, message] of WRONG) {
  Deno.test(`the collector's file is refused with its line: ${text.trim()}`, () => {
    assert.throws(() => parseConfigFile("a.yaml", text, CONFIG_FILE), (error: unknown) => {
      assert(error instanceof SyntaxError);
      assert.ok(error.message.startsWith(`Cannot read configuration "a.yaml", ${message}`), error.message);
      return true;
    });
  });
}
