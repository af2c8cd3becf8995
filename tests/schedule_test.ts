/** `jobs schedule`: systemd takes its units, and the very command lines that it prints run, also twice, and by one at a time. */

import assert from "node:assert/strict";
import { newPlace, publishFlows } from "../jobs/testdata/topic.ts";
import { runTask } from "./command.ts";
import { missingCommand, testWith } from "./require.ts";

/** Of the folder given; the place of a lake and what it is made of. */
async function place() {
  const { directory, topic, lake } = await newPlace();
  await publishFlows(topic, 6, 1);
  const output = `${directory}/out put`;
  await Deno.mkdir(output);
  const args = [
    "--lake",
    lake,
    "--topic",
    topic.replace(/\?.*/, ""),
    "--output",
    output,
    "--answer",
    "talkers",
    "--keep-days",
    "flow=9000",
  ];
  return { directory, lake, output, args };
}

async function schedule(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runTask("jobs", ["schedule", ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

testWith(await missingCommand("systemd-analyze", "--version"), "systemd finds nothing wrong with the units", async () => {
  const { directory, args } = await place();
  const texts = (await schedule(args)).split(/^# (skyfall-jobs-[\w-]+\.(?:service|timer))\n/m).slice(1);
  const paths: string[] = [];
  for (let i = 0; i < texts.length; i += 2) {
    paths.push(`${directory}/${texts[i]}`);
    await Deno.writeTextFile(paths.at(-1)!, texts[i + 1]!);
  }
  assert.equal(paths.length, 14);
  const { code, stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", "--man=no", ...paths] }).output();
  const ours = new TextDecoder().decode(stderr).split("\n").filter((line) => line.includes(directory) || line.includes("skyfall-jobs"));
  assert.deepEqual([code, ours], [0, []]);
});

Deno.test("the lines of the crontab run, one after the other and again with nothing to do, and leave what they say", async () => {
  const { output, args } = await place();
  const lines = (await schedule([...args, "--cron"])).trim().split("\n");
  assert.equal(lines.length, 7);
  for (const line of [...lines, ...lines]) {
    const command = line.split(" ").slice(5).join(" ").replaceAll("\\%", "%");
    // As cron does: by sh, with little in the environment, in the home folder.
    const { code, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", command],
      cwd: "/",
      clearEnv: true,
      env: { HOME: Deno.env.get("HOME") ?? "/", PATH: "/usr/bin:/bin" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    assert.equal(code, 0, `${command}: ${new TextDecoder().decode(stderr)}`);
  }
  assert.match(await Deno.readTextFile(`${output}/talkers.csv`), /^service,peers,/);
  assert.match(await Deno.readTextFile(`${output}/report.html`), /^<!doctype html>/);
  assert.deepEqual([...Deno.readDirSync(output)].map(({ name }) => name).filter((name) => !name.startsWith(".")).sort(), [
    "report.html",
    "talkers.csv",
  ]);
});

Deno.test("a job whose like is at work leaves that alone, and says so", async () => {
  const { lake, output, args } = await place();
  await schedule(args);
  assert.equal((await runTask("jobs", ["run", "etl", "--topic", args[3]!, "--lake", lake])).code, 0);
  using report = await Deno.open(`${output}/.report.html.lock`, { create: true, write: true }), folder = await Deno.open(lake);
  await report.lock(true);
  await folder.lock(true);
  for (const job of [["report", "--lake", lake, "--output", `${output}/report.html`], ["audit", "--lake", lake]]) {
    const { code, stderr } = await runTask("jobs", job);
    assert.deepEqual([code, /another run is at work/.test(stderr)], [0, true], stderr);
  }
  assert.deepEqual([...Deno.readDirSync(output)].map(({ name }) => name), [".report.html.lock"]);
});
