/** What is blotted out of command lines, and what is not. */

import assert from "node:assert/strict";
import { printable, redactCommandLine } from "./redact.ts";

const SECRETS: readonly (readonly [args: readonly string[], kept: string])[] = [
  [["app", "--password=hunter2", "-v"], "app --password=*** -v"],
  [["app", "--password", "two words", "-v"], "app --password *** -v"],
  [["app", "--password", "-dashed"], "app --password ***"],
  [["app", "--db-password=a b&c", "x"], "app --db-password=*** x"],
  [["app", "-Dspring.datasource.password=x"], "app -Dspring.datasource.password=***"],
  [["env", "AWS_SECRET_ACCESS_KEY=abc/+=", "AWS_SECRET=q", "app"], "env AWS_SECRET_ACCESS_KEY=*** AWS_SECRET=*** app"],
  [["env", "GITHUB_TOKEN=x", "DB_PASS=y", "PW=z"], "env GITHUB_TOKEN=*** DB_PASS=*** PW=***"],
  [["app", "--accessToken=x", "--api-key", "y", "--apiKey=z"], "app --accessToken=*** --api-key *** --apiKey=***"],
  [["app", "token=abc"], "app token=***"],
  [["psql", "postgres://me:s3cr3t@db:5432/shop"], "psql postgres://me:***@db:5432/shop"],
  [["app", "redis://:12345@cache:6379/0"], "app redis://:***@cache:6379/0"],
  [["app", "https://u:p/a:s@host/x", "https://u:a@b@host/x"], "app https://u:***@host/x https://u:***@host/x"],
  [["app", "amqp://me:cut-off-by-the-ker"], "app amqp://me:***"],
  [["curl", "https://a.example/?token=abc&x=1"], "curl https://a.example/?token=***&x=1"],
  [["curl", "-H", "Authorization: Bearer abc.def", "x"], "curl -H Authorization: *** x"],
  [["curl", "-u", "me:pw", "x"], "curl -u *** x"],
  [["curl", "-ume:pw", "x"], "curl -u*** x"],
  [["curl", "-H", "Cookie: a=b; c=d"], "curl -H Cookie: ***"],
  [["/usr/bin/mysql", "-phunter2", "-P3306"], "/usr/bin/mysql -p*** -P3306"],
  [["sshpass", "-p", "x", "ssh", "h"], "sshpass -p *** ssh h"],
  [
    ["sh", "-c", "cd /x && PGPASSWORD=x psql --password y -h db && app --token='a b'"],
    "sh -c cd /x && PGPASSWORD=*** psql --password *** -h db && app --token=***",
  ],
  [["app", '{"user":"me","password":"x y","port":1}'], 'app {"user":"me","password":***,"port":1}'],
  [["aws", "AKIAABCDEFGHIJKLMNOP"], "aws ***"],
  [["app", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"], "app ***"],
];

for (const [args, kept] of SECRETS) {
  Deno.test(`redactCommandLine() gives ${JSON.stringify(kept)}`, () => assert.equal(redactCommandLine(args.join("\0"), []), kept));
}

const HARMLESS: readonly (readonly string[])[] = [
  ["node", "/srv/shop/server.js", "--port", "80"],
  ["app", "--password-file=/run/secrets/db", "--token-file", "/run/t"],
  ["app", "--bypass=1", "--compass", "north", "author=me"],
  ["app", "http://host:8080", "http://host:8080/a@b", "http://[::1]:8080/x", "--keyboard=us", "monkey=1"],
  ["ssh", "-p2222", "host"],
  ["app", "--password", "--host", "h"],
];

for (const args of HARMLESS) {
  Deno.test(`redactCommandLine() leaves ${JSON.stringify(args.join(" "))}`, () => {
    assert.equal(redactCommandLine(args.join("\0"), []), args.join(" "));
  });
}

Deno.test("redactCommandLine() applies the operator's expressions to the joined line", () => {
  assert.equal(redactCommandLine("app\0--pin\x001234\x0077", [/(?<=--pin )\d+/g, /7+/g]), "app --pin *** ***");
});

Deno.test("redactCommandLine() ends soon on a line that is long and hostile", () => {
  for (const part of ["://a:", "password ", '"', "authorization: ", "--a", "-_.", "token=", "eyJ", "\0"]) {
    const startMs = performance.now();
    redactCommandLine(part.repeat(1_000_000 / part.length), []);
    assert.ok(performance.now() - startMs < 500, `${part}: ${performance.now() - startMs} ms`);
  }
});

Deno.test("printable() leaves no control character, line separator or turn of direction", () => {
  assert.equal(printable("a\x1b[31m\r\nb\0c\x9b\u2028d\u202ee\ufeff"), "a [31m  b c  d e ");
  assert.equal(printable("\ud800x"), "\ufffdx");
  assert.equal(printable("größer 日本 🙂"), "größer 日本 🙂");
});
