/** The jobs as a package has them: their sources and the npm packages that these import, as DuckDB's own library cannot be bundled. */

const PROJECT = new URL("../", import.meta.url);
const FOLDERS = ["jobs", "lib", "ffi"];
/** What runs elsewhere: tests, what tests read, and what the report's page was bundled from. */
const LEFT_OUT = /_test\.ts$|\/testdata\/|^jobs\/report_page\/.*(?<!page\.gen)\.[jt]s$/;

/** Copies the jobs into a folder, with a deno.json of the imports that they have and a folder node_modules. @throws {Error} If a package cannot be had. */
export async function copyJobs(target: string): Promise<void> {
  const texts: string[] = [];
  for (const folder of FOLDERS) {
    for (const path of await filesBelow(folder)) {
      if (LEFT_OUT.test(path)) continue;
      await Deno.mkdir(`${target}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true, mode: 0o755 });
      await Deno.copyFile(new URL(path, PROJECT), `${target}/${path}`);
      await Deno.chmod(`${target}/${path}`, 0o644);
      if (path.endsWith(".ts")) texts.push(await Deno.readTextFile(`${target}/${path}`));
    }
  }
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", PROJECT)));
  const used = Object.entries(imports).filter(([name]) => texts.some((text) => text.includes(`"${name}"`)));
  await Deno.writeTextFile(`${target}/deno.json`, JSON.stringify({ imports: Object.fromEntries(used) }, null, 2));
  const args = ["install", "--quiet", "--node-modules-dir=auto", "--no-lock", "--entrypoint", "jobs/main.ts"];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: target, stdin: "null", stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`Cannot fetch what the jobs import: ${new TextDecoder().decode(stderr)}`);
  await removeForeignBindings(`${target}/node_modules/.deno`);
}

async function filesBelow(folder: string): Promise<string[]> {
  const found = await Array.fromAsync(
    Deno.readDir(new URL(folder, PROJECT)),
    async ({ name, isDirectory }) => isDirectory ? await filesBelow(`${folder}/${name}`) : [`${folder}/${name}`],
  );
  return found.flat().sort();
}

/** DuckDB's library comes for several machines; a package is for one, with the GNU C library. */
async function removeForeignBindings(store: string): Promise<void> {
  for await (const { name } of Deno.readDir(store)) {
    if (/^@duckdb\+node-bindings-.*-musl@/.test(name)) await Deno.remove(`${store}/${name}`, { recursive: true });
  }
}
