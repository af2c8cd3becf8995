// Do not edit; made by `deno task kernels`.

/** Releases, as `uname -r` has them, of each family of kernels with the same structures. */
export const KERNEL_FAMILIES: Readonly<Record<string, readonly string[]>> = {
  "5.10": ["5.10.0-30-amd64","5.10.0-32-amd64"],
  "6.1": ["6.1.0-47-amd64","6.1.0-50-amd64"],
  "6.12": ["6.12.117+deb13-amd64"],
  "6.18": ["6.18.12+deb13-amd64","6.18.15+deb13-amd64","6.18.9+deb13-amd64"],
  "7.3": ["7.3.4+deb13-amd64"],
  "6.12.107+deb13-amd64": ["6.12.107+deb13-amd64"],
};
