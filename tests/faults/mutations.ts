/** Proves that the harness would see what it looks for: the protocol is broken on purpose, in a copy, in ways that have happened to others. */

import { PROJECT } from "../sources.ts";
import { type Deed, type FaultOptions, type FaultResult, runFaults } from "./faults.ts";

/** A step of the protocol that is left out or done wrong. */
export interface Mutation {
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What brings it to light. */
  readonly deeds: readonly Deed[];
}

export const MUTATIONS: readonly Mutation[] = [
  {
    what: "a commit's file is not synced",
    file: "lib/durable_file.ts",
    from: "  await file.sync();\n}\n\n/** Waits until the names",
    to: "}\n\n/** Waits until the names",
    deeds: ["power"],
  },
  {
    what: "a commit's name is not synced",
    file: "jobs/lake/delta_log.ts",
    from: "    await syncDirectory(log);\n    await rememberCommit(",
    to: "    await rememberCommit(",
    deeds: ["power"],
  },
  {
    what: "a version that another writer has is overwritten",
    file: "jobs/lake/delta_log.ts",
    from: "await Deno.link(temporary, `${log}/${versionFile(version)}`);",
    to: "await Deno.rename(temporary, `${log}/${versionFile(version)}`);",
    deeds: ["stop"],
  },
  {
    what: "a writer that was overtaken commits all the same",
    file: "jobs/lake/append.ts",
    from: "return transactions.keys().some((id) => latest.transactions.get(id) !== before.transactions.get(id));",
    to: 'return transactions.keys().some((id) => id === "" && latest === before);',
    deeds: ["stop"],
  },
  {
    what: "a compaction that was overtaken commits all the same",
    file: "jobs/lake/replace.ts",
    from: "if (removes.some(({ path }) => !latest.files.has(path))) return null;",
    to: "",
    deeds: ["stop"],
  },
  {
    what: "a message that was set aside before a crash is set aside again",
    file: "jobs/etl_writer.ts",
    from: "if (!this.#deadLetters.has(message)) stage.add(message);",
    to: "stage.add(message);",
    deeds: ["kill"],
  },
  {
    what: "losses that were kept before a crash are kept again",
    file: "jobs/etl_writer.ts",
    from: "stage.losses.filter((told) => !this.#losses.has(told))",
    to: "stage.losses",
    deeds: ["kill"],
  },
  {
    what: "the next run begins a message too late",
    file: "jobs/topic_reader.ts",
    from: "place.offset = messages.at(-1)!.offset + 1n;",
    to: "place.offset = messages.at(-1)!.offset + 2n;",
    deeds: ["kill"],
  },
];

/** Folders that the jobs are made of. */
const PROGRAM = ["jobs", "lib", "ffi", "deno.json", "deno.lock"];

/** Runs the harness on the program as the mutation leaves it. */
export async function runMutation({ file, from, to, deeds }: Mutation, options: FaultOptions): Promise<FaultResult> {
  const folder = await Deno.makeTempDir({ prefix: "skyfall-mutation-" });
  try {
    for (const name of PROGRAM) await copy(new URL(name, PROJECT).pathname, `${folder}/${name}`);
    const path = `${folder}/${file}`, text = await Deno.readTextFile(path);
    if (!text.includes(from)) throw new Error(`Cannot break "${file}": it has no more "${from}"`);
    await Deno.writeTextFile(path, text.replace(from, to));
    return await runFaults({ ...options, deeds, project: new URL(`file://${folder}/`) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  const { success } = await new Deno.Command("cp", { args: ["-r", from, to] }).output();
  if (!success) throw new Error(`Cannot copy "${from}" to "${to}"`);
}
