/** Every tracked or new file of the project, for the tests that read them all. */

export const PROJECT = new URL("../", import.meta.url);

/** Paths relative to the project, in order. */
export async function projectFiles(): Promise<string[]> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd: PROJECT, stdout: "piped", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot list files: ${new TextDecoder().decode(stderr)}`);
  const listed = new TextDecoder().decode(stdout).split("\n").filter((path) => path !== "");
  const present = await Promise.all(listed.map(async (path) => await exists(path)));
  return listed.filter((_, i) => present[i]).sort();
}

/** Text of a file of the project. */
export function readSource(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, PROJECT));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(new URL(path, PROJECT));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
