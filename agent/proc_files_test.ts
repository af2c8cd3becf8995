/** The files of a process in /proc. */

import assert from "node:assert/strict";
import { parseStat, readProcFiles } from "./proc_files.ts";

const TAIL = "1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0 18446744073709551615";

Deno.test("parseStat() finds state and start behind any name", () => {
  assert.deepEqual(parseStat(`7 (a) R 9 (b) S ${TAIL}`), { isEnded: false, startTicks: 12_345 });
  assert.deepEqual(parseStat(`7 (a) Z ${TAIL}`), { isEnded: true, startTicks: 12_345 });
  assert.equal(parseStat(""), null);
});

Deno.test("readProcFiles() reads this process, and none that started at another time", async () => {
  const process_start_ns = parseStat(await Deno.readTextFile("/proc/self/stat"))!.startTicks * 1e7;
  const files = readProcFiles({ pid: Deno.pid, process_start_ns })!;
  assert.equal(files.executable_path, Deno.execPath());
  assert.match(files.cgroup, /^0::/m);
  assert.equal(readProcFiles({ pid: Deno.pid, process_start_ns: process_start_ns - 1e9 }), null);
  assert.equal(readProcFiles({ pid: Deno.pid, process_start_ns: process_start_ns + 1e9 }), null);
});

Deno.test("readProcFiles() finds nothing of a process that waits for its parent", async () => {
  using child = new ZombieParent();
  const pid = await child.zombie();
  const process_start_ns = parseStat(await Deno.readTextFile(`/proc/${pid}/stat`))!.startTicks * 1e7;
  assert.equal(readProcFiles({ pid, process_start_ns }), null);
});

/** A shell whose child has ended, and that does not wait for it. */
class ZombieParent implements Disposable {
  readonly #shell = new Deno.Command("sh", { args: ["-c", "sleep 0.1 & echo $!; exec sleep 60"], stdout: "piped" }).spawn();

  async zombie(): Promise<number> {
    const reader = this.#shell.stdout.getReader();
    const pid = Number(new TextDecoder().decode((await reader.read()).value));
    await reader.cancel();
    while (!parseStat(await Deno.readTextFile(`/proc/${pid}/stat`))!.isEnded) await new Promise((resolve) => setTimeout(resolve, 5));
    return pid;
  }

  [Symbol.dispose](): void {
    this.#shell.kill("SIGKILL");
  }
}
