/** `deno task bench NAME... [--OPTION VALUE...]`: installs what the benches need, then runs those named, or all but the longest. */

import { PURPOSES, setUp } from "./setup.ts";

const FOLDER = new URL("../bench/", import.meta.url);
const SUFFIX = "_bench.ts";
/** Run by name alone: minutes to half an hour. */
const LONG = ["growth", "outage", "verdicts"];

const remedy = await setUp(PURPOSES["bench"]!);
if (remedy !== null) {
  console.error(`Cannot install without root; run this, then try again:\n  sudo sh -c '${remedy}'`);
  Deno.exit(1);
}
const known = (await Array.fromAsync(Deno.readDir(FOLDER), ({ name }) => name)).filter((name) => name.endsWith(SUFFIX))
  .map((name) => name.slice(0, -SUFFIX.length)).sort();
const firstOption = Deno.args.findIndex((argument) => argument.startsWith("--"));
const names = firstOption < 0 ? Deno.args : Deno.args.slice(0, firstOption), options = Deno.args.slice(names.length);
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`Cannot run bench "${unknown[0]}": needed one of ${known.join(", ")}`);
  Deno.exit(2);
}
for (const name of names.length > 0 ? names : known.filter((name) => !LONG.includes(name))) {
  console.log(`\n# ${name}\n`);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", new URL(`${name}${SUFFIX}`, FOLDER).pathname, ...options],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) Deno.exit(1);
}
