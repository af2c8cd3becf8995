// Do not edit; made by `deno task kernels`.

/** Releases, as `uname -r` has them, of each family of kernels with the same structures. */
export const KERNEL_FAMILIES: Readonly<Record<string, readonly string[]>> = {
};
