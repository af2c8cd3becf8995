/** `jobs sql` on a real pseudo-terminal, and off one. */

import assert from "node:assert/strict";
import { version1Place } from "../jobs/testdata/topic.ts";
import { missingCommand, testWith } from "./require.ts";

const PROJECT = new URL("../", import.meta.url).pathname;
const JOBS = [Deno.execPath(), "run", "-A", "--no-check", "jobs/main.ts", "sql", "--lake"];

/** Types each text when the one before has had its effect, and gives what the terminal showed. */
async function type(lake: string, state: string, steps: readonly (readonly [awaited: RegExp, typed: string])[]): Promise<string> {
  const child = new Deno.Command("script", {
    args: ["-qec", [...JOBS, lake].join(" "), "/dev/null"],
    cwd: PROJECT,
    env: { XDG_STATE_HOME: state, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = child.stdin.getWriter(), encoder = new TextEncoder();
  let shown = "", waitedFrom = 0, step = 0;
  for await (const bytes of child.stdout.pipeThrough(new TextDecoderStream())) {
    shown += bytes;
    const next = steps[step];
    if (next === undefined || !next[0].test(shown.slice(waitedFrom))) continue;
    waitedFrom = shown.length;
    step++;
    await input.write(encoder.encode(next[1]));
  }
  await input.close();
  assert.equal((await child.status).code, 0, shown);
  return shown;
}

const noScript = await missingCommand("script", "--version");

testWith(noScript, "the shell reads statements over several lines, tells errors, completes names, and keeps its history", async () => {
  const { lake } = await version1Place(), state = await Deno.makeTempDir();
  const shown = await type(lake, state, [
    [/lake> /, "select 40 +\n"],
    [/\.\.\. /, "2 as answer;\n"],
    [/│ +42 │[^]*lake> /, "create table x (i int);\n"],
    [/it is CREATE[^]*lake> /, "select count(*) as n from dead_lett"],
    [/dead_lett$/, "\t"],
    [/^er$/, ";\n"],
    [/│ +0 │[^]*lake> /, "\x04"],
  ]);
  assert.match(shown, /│ answer │/);
  const history = await Deno.readTextFile(`${state}/skyfall/sql_history`);
  assert.equal(history, "select 40 +\n2 as answer;\ncreate table x (i int);\nselect count(*) as n from dead_letter;\n");
  const again = await type(lake, state, [[/lake> /, "\x1b[A"], [/dead_letter;/, "\n"], [/│ +0 │[^]*lake> /, "\x04"]]);
  assert.match(again, /│ n │/);
});

testWith(noScript, "the shell ends a running question at Ctrl-C, and goes on", async () => {
  const { lake } = await version1Place();
  await type(lake, await Deno.makeTempDir(), [
    [/lake> /, "select sum(a.range * b.range) from range(100000000) a, range(100000) b;\n"],
    [/b;\s/, "\x03"],
    [/Interrupted[^]*lake> /, ".quit\n"],
  ]);
});

/** Exit code and what was said of a question. */
async function ask(args: readonly string[], input = ""): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const { lake } = await version1Place();
  const [program, ...rest] = [...JOBS, lake, ...args.map((arg) => arg.replace("LAKE", lake))];
  const child = new Deno.Command(program!, { args: rest, cwd: PROJECT, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
}

Deno.test("off a terminal one question is read from standard input", async () => {
  const { code, out } = await ask(["--format", "csv"], "select count(*) as n from flow;\n");
  assert.deepEqual([code, out.trim()], [0, "n\r\n12"]);
});

for (const query of ["-- how many\nselect count(*) as n from flow", "--how many\nselect count(*) as n from flow"]) {
  Deno.test(`a question may begin with a comment: ${JSON.stringify(query)}`, async () => {
    const { code, out, error } = await ask(["--format", "csv", query]);
    assert.deepEqual([code, out.trim()], [0, "n\r\n12"], error);
  });
}

Deno.test("an option that is not there is still refused", async () => {
  const { code, error } = await ask(["--no-such-option", "select 1"]);
  assert.deepEqual([code, /unknown option '--no-such-option'/.test(error)], [2, true], error);
});

const REFUSED: readonly (readonly [sql: string, reason: RegExp])[] = [
  ["copy (select 1) to 'x.csv'", /file system operations are disabled/],
  ["copy (select 1) to 'LAKE/x.csv'", /it is COPY, needed one statement that only reads/],
  ["explain analyze copy (select 1) to 'LAKE/x.csv'", /it is COPY, needed one statement that only reads/],
  ["select 1; select 2", /there are 2 statements/],
  ["set memory_limit = '1TB'", /it is SET/],
  ["from read_csv('/etc/passwd')", /file system operations are disabled/],
  ["select nothing from flow", /Referenced column/],
];

for (const [sql, reason] of REFUSED) {
  Deno.test(`refused, as misuse: ${sql}`, async () => {
    const { code, error } = await ask([sql]);
    assert.deepEqual([code, reason.test(error)], [2, true], error);
  });
}

Deno.test("a question that runs for ever ends in time", async () => {
  const { code, error } = await ask(["select sum(a.range * b.range) from range(100000000) a, range(100000) b", "--timeout-seconds", "1"]);
  assert.equal(code, 2);
  assert.match(error, /Cannot answer within 1 s/);
});
