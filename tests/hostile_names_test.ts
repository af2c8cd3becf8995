/** Processes that name themselves to do harm: no datagram, log line, metric or row is broken by them, and they are still told apart. */

import assert from "node:assert/strict";
import { pcapFile } from "../collector/testdata/pcap.ts";
import { testReceiver } from "../collector/testdata/receiver.ts";
import { NO_PAIRS, pairEnds } from "../collector/pair_ends.ts";
import { RowMessages } from "../collector/rows.ts";
import { decodeFlowBatch } from "../lib/flow_batch.ts";
import { captureAgent } from "./captured.ts";
import { runTask } from "./command.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";
import { freeTcpPort } from "./running_agent.ts";

/**
 * As a child of its own for each: an executable of that name, with those arguments (bytes as Python writes them), which calls
 * itself so by prctl(2) too, and connects to a port.
 */
const ACTOR = `
import ctypes, os, shutil, socket, sys
port, folder = int(sys.argv[1]), os.fsencode(sys.argv[2])
utf8 = "\\u00e9\\u4e2d\\U0001f600".encode()
names = [
    (b'evil1"\\\\\\'{}=,', [b'a"b\\\\c', b"\\\\", b"{}[]", b"skyfall_agent_x{a=\\"b\\"} 1\\n# HELP x y"]),
    (b"evil2\\x1b[31m\\r\\n\\x07", [b"\\x1b]0;title\\x07", b"\\x1b[2J", b"line\\nline\\r", b"\\x7f\\x01\\x02"]),
    (b"evil3\\xff\\xfe\\xc3", [b"\\xff" * 300, b"\\xc3\\x28", b"\\xed\\xa0\\x80", b"\\xf0\\x9f"]),
    (b"evil4" + utf8 * 20, [utf8 * 9_000 for _ in range(12)]),
    (b"evil5", [b"x" * 100_000 for _ in range(10)]),
    (b"evil6", [b""] * 300),
    (b"evil7" + "\\u202e\\u2066\\ufeff\\u2028".encode(), ["\\u202e\\u2066\\ufeff\\u2028".encode()]),
    (b"evil8", [b"%s%n%x", b"$(reboot)", b"'; drop table flow; --", b"\\x00"[:0], b"<script>alert(1)</script>"]),
]
script = """import ctypes, os, socket, sys, time
ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[2])[:15], 0, 0, 0)
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"12345")
time.sleep(0.3)
"""
for name, arguments in names:
    path = os.path.join(folder, name)
    shutil.copy(os.path.realpath(sys.executable), path)
    pid = os.fork()
    if pid == 0:
        os.execve(path, [name, b"-c", script.encode(), str(port).encode(), name, *arguments], os.environ)
    assert os.waitpid(pid, 0)[1] == 0, name
print(len(names))
`;

/** What no text may hold: control characters, separators of lines, marks that turn the direction, halves of characters. */
const HARMFUL = /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

testWith(
  firstMissing(await missingKernel(), await missingCommand("python3", "--version")),
  "processes with hostile names and arguments break no datagram, row, log line or metric, and are told apart",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let count = 0, metrics = "";
    const metricsPort = freeTcpPort();
    const serving = (async () => {
      for await (const connection of listener) connection.readable.pipeTo(new WritableStream()).catch(() => {});
    })();
    const datagrams = await captureAgent(async () => {
      const args = ["-c", ACTOR, String(listener.addr.port), await Deno.makeTempDir()];
      const { success, stdout } = await new Deno.Command("python3", { args, stdin: "null", stderr: "inherit" }).output();
      assert.ok(success);
      count = Number(new TextDecoder().decode(stdout));
      metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    }, ["--metrics-listen", `127.0.0.1:${metricsPort}`]);
    listener.close();
    await serving.catch(() => {});

    const { table, identities, receiver, receive } = testReceiver(1 << 14);
    for (const datagram of datagrams) receive(datagram);
    const { datagrams_malformed, descriptors_refused, flow_records_refused, flow_records_unknown_process } = receiver.counts;
    assert.deepEqual([datagrams_malformed, descriptors_refused, flow_records_refused, flow_records_unknown_process], [0, 0, 0, 0]);
    const port = listener.addr.port, rows = [...table.rows()];
    const seen = new Set<string>();
    for (
      const { value } of new RowMessages(table, identities, 1, "arrow").take(
        pairEnds(table, identities, rows.filter((row) => table.serverPort(row) === port), { ...NO_PAIRS }),
      )
    ) {
      const { rowCount, columns } = decodeFlowBatch(value);
      const texts = (["client_service_name", "client_process_executable_name", "process_executable_path", "process_command_line"] as const)
        .map((name) => columns[name]);
      for (let row = 0; row < rowCount; row++) {
        for (const { codes, dictionary } of texts) {
          const text = dictionary[codes[row]!] ?? "";
          assert.doesNotMatch(text, HARMFUL);
          const name = /evil\d/.exec(text)?.[0];
          if (name !== undefined) seen.add(name);
        }
      }
    }
    assert.deepEqual([...seen].sort(), Array.from({ length: count }, (_, i) => `evil${i + 1}`));

    assert.ok(metrics.includes("skyfall_agent_ended_connections_total"));
    const capture = await Deno.makeTempFile();
    await Deno.writeFile(capture, pcapFile(datagrams));
    const { code, stdout, stderr } = await runTask("collector", ["decode", capture]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line) as { readonly kind: string });
    assert.deepEqual(lines.filter(({ kind }) => kind === "malformed"), []);
    assert.doesNotMatch(stdout.replaceAll("\n", ""), HARMFUL);
    for (const line of metrics.split("\n").filter((line) => line !== "")) {
      assert.match(line, /^(# (HELP|TYPE) skyfall_agent_\w+ .+|skyfall_agent_\w+(\{\w+="\w+"(,\w+="\w+")*\})? \S+)$/);
    }
  },
);
