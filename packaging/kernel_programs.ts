/** The files of `bpf/` that the agent reads while it runs: kernel programs, and the types of kernels that do not tell them. */

const BPF = new URL("../bpf/", import.meta.url);

/** Paths below `bpf/`, in order. */
export function kernelProgramFiles(): string[] {
  const namesIn = (folder: string) => Array.from(Deno.readDirSync(new URL(folder, BPF)), ({ name }) => folder + name);
  return ["", "kernels/"].flatMap(namesIn).filter((name) => /\.(bpf\.o|btf)$/.test(name)).sort();
}
