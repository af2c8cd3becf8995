/** What is scheduled is what systemd and cron take, and its very command lines run. */

import assert from "node:assert/strict";
import { cronLines, installUnits, type Schedule, SCHEDULED_ANSWERS, scheduledJobs, systemdUnits } from "./schedule.ts";

const SCHEDULE: Schedule = {
  command: ["/usr/bin/skyfall-jobs"],
  lake: '/srv/a lake/50% "of" $it\'s',
  topic: "kafka://k1:9092,k2:9092/flows",
  output: "/srv/out",
  answers: ["talkers"],
  keepDays: ["flow=30"],
};

Deno.test("systemdUnits() has a service and a timer that catches up for each job", () => {
  const units = systemdUnits(SCHEDULE, "997");
  const names = ["etl", "dependencies", "compact", "vacuum", "audit", "report", "answer-talkers"];
  assert.deepEqual([...units.keys()], names.flatMap((name) => [`skyfall-jobs-${name}.service`, `skyfall-jobs-${name}.timer`]));
  for (const [name, text] of units) {
    assert.match(text, name.endsWith(".timer") ? /^Persistent=true$/m : /^Type=oneshot\nExecStart=.*\nUser=997$/m);
  }
});

Deno.test("systemdUnits() quotes what systemd would take apart", () => {
  const compact = systemdUnits(SCHEDULE, null).get("skyfall-jobs-compact.service")!;
  assert.ok(
    compact.includes(`ExecStart=/usr/bin/skyfall-jobs run compact --lake "/srv/a lake/50%% \\"of\\" $$it's" --keep-days flow=30\n`),
    compact,
  );
  assert.ok(!compact.includes("User="));
});

Deno.test("cronLines() quotes what the shell and cron would take apart", () => {
  const [etl] = cronLines(SCHEDULE);
  assert.equal(
    etl,
    `* * * * * /usr/bin/skyfall-jobs run etl --topic 'kafka://k1:9092,k2:9092/flows' --lake '/srv/a lake/50\\% "of" $it'\\''s'`,
  );
});

Deno.test("a line end in a path is refused", () => {
  assert.throws(() => cronLines({ ...SCHEDULE, lake: "/a\n* * * * * reboot" }), { name: "SyntaxError", message: /without line ends/ });
});

Deno.test("without a topic and an output folder there is what keeps the lake alone", () => {
  const jobs = scheduledJobs({ ...SCHEDULE, topic: null, output: null });
  assert.deepEqual(jobs.map(({ name }) => name), ["compact", "vacuum", "audit"]);
});

Deno.test("answers that need a service, two times, zones or a topology are not scheduled", () => {
  assert.deepEqual(SCHEDULED_ANSWERS.toSorted(), ["bottlenecks", "capacity", "dependency-graph", "hubs", "talkers", "unmanaged"]);
});

Deno.test("installUnits() writes the units and has the timers run", async () => {
  const folder = `${await Deno.makeTempDir()}/system`, calls: string[] = [];
  const units = systemdUnits({ ...SCHEDULE, topic: null, output: null }, "0");
  await installUnits(units, folder, (args) => Promise.resolve(void calls.push(args.join(" "))));
  assert.deepEqual(
    new Map(await Array.fromAsync(units.keys(), async (name) => [name, await Deno.readTextFile(`${folder}/${name}`)] as const)),
    units,
  );
  assert.deepEqual(calls, ["daemon-reload", "enable --now skyfall-jobs-compact.timer skyfall-jobs-vacuum.timer skyfall-jobs-audit.timer"]);
});
