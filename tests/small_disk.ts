/** A small file system of its own, to be filled. */

import assert from "node:assert/strict";
import { type Missing, missingCommand } from "./require.ts";

const PIECE = new Uint8Array(4_096);

/** Why there can be none here, or null. */
export async function missingSmallDisk(): Promise<Missing> {
  return Deno.uid() === 0 ? await missingCommand("mount", "--version") : "not root, to mount a small file system";
}

/** A file system in memory that is mounted until disposed of. */
export class SmallDisk implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async mount(bytes: number): Promise<SmallDisk> {
    const path = await Deno.makeTempDir();
    await must("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", path);
    return new SmallDisk(path);
  }

  /** Takes all the room that is left; returns what gives it back. */
  async fill(): Promise<() => Promise<void>> {
    const filler = `${this.path}/filler`;
    using file = await Deno.open(filler, { createNew: true, write: true });
    await assert.rejects(async () => {
      for (;;) await file.write(PIECE);
    }, /No space left/);
    return () => Deno.remove(filler);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await must("umount", "--lazy", this.path);
    await Deno.remove(this.path);
  }
}

async function must(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stderr: "piped" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
