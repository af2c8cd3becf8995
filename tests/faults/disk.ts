/** A disk of its own for a lake: an ext4 in a file, which can lose power and be filled. */

import { firstMissing, type Missing, missingCommand } from "../require.ts";

const UNMOUNT_TRIES = 50;
const RECOVER_TRIES = 120;
const RECOVER_WAIT_MS = 1_000;
const UNMOUNT_WAIT_MS = 100;
const PIECE = new Uint8Array(4_096);

/** Why there can be none here, or null. */
export async function missingDisk(): Promise<Missing> {
  if (Deno.uid() !== 0) return "not root, to mount a disk that loses power";
  return firstMissing(await missingCommand("mkfs.ext4", "-V"), await missingCommand("mount", "--version"));
}

export class Disk implements AsyncDisposable {
  readonly #image: string;

  private constructor(image: string, readonly path: string) {
    this.#image = image;
  }

  static async make(folder: string, bytes: number): Promise<Disk> {
    const image = `${folder}/disk.img`, path = `${folder}/disk`;
    await Deno.mkdir(path);
    (await Deno.create(image)).close();
    await Deno.truncate(image, bytes);
    await must("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", image);
    const disk = new Disk(image, path);
    await disk.#mount();
    return disk;
  }

  /** After power was lost: what the journal has is there again, and nothing that was never synced. */
  async recover(): Promise<void> {
    for (let i = 1;; i++) {
      await this.#unmount();
      await this.#mount();
      if (await this.#isAlive()) return;
      if (i === RECOVER_TRIES) throw new Error(`Cannot bring disk "${this.#image}" back: something else has it mounted`);
      await new Promise((resolve) => setTimeout(resolve, RECOVER_WAIT_MS));
    }
  }

  /** False where another mount namespace, of a container that began meanwhile, still holds what lost its power. */
  async #isAlive(): Promise<boolean> {
    const probe = `${this.path}/probe`;
    try {
      await Deno.writeFile(probe, PIECE);
      await Deno.remove(probe);
      return true;
    } catch (error) {
      if (!(error instanceof Error && /os error (5|30)\b/.test(error.message))) throw error;
      return false;
    }
  }

  /** Loses, by the fault library, what was never synced, and comes back. */
  async losePower(library: string): Promise<void> {
    const path = `${this.path}/last_file`;
    const { signal } = await new Deno.Command("touch", {
      args: [path],
      env: { LD_PRELOAD: library, FAULT_FOLDER: this.path, FAULT_DEED: "power", FAULT_STEP: "1" },
    }).output();
    if (signal !== "SIGKILL") throw new Error("Cannot cut the power: the fault library had no step");
    await this.recover();
  }

  /** Takes all the room; returns what gives it back. */
  async fill(): Promise<() => Promise<void>> {
    const filler = `${this.path}/filler`;
    const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%a %S", this.path], stdout: "piped" }).output();
    const [blocks, size] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
    await must("fallocate", "-l", String(Math.floor(blocks! * size! * 0.99)), filler);
    // The last of it is taken as files take it.
    using file = await Deno.open(filler, { append: true });
    try {
      for (;;) await file.write(PIECE);
    } catch (error) {
      if (!(error instanceof Error && /No space left/.test(error.message))) throw error;
    }
    return () => Deno.remove(filler);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmount();
    await Deno.remove(this.#image);
  }

  async #mount(): Promise<void> {
    // Nothing but what is asked for goes to the disk: a commit of the journal every hour.
    await must("mount", "-o", "loop,commit=3600", this.#image, this.path);
  }

  /** A process that was killed may hold it a moment longer. */
  async #unmount(): Promise<void> {
    for (let i = 1;; i++) {
      try {
        return await must("umount", this.path);
      } catch (error) {
        if (i === UNMOUNT_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, UNMOUNT_WAIT_MS));
      }
    }
  }
}

async function must(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot run "${command} ${args.join(" ")}": ${new TextDecoder().decode(stderr)}`);
}
