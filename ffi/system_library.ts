/** Opens a shared library of the operating system by its soname. */

/** A library that is not there, or too old; the message says what to do. */
export class MissingLibraryError extends Error {
  override readonly name = "MissingLibraryError";
}

/**
 * Opens `soname`, for example "libc.so.6", where the dynamic linker finds it. Needs `--allow-ffi` without a path: Deno
 * gives pointers, without which no structure can be passed, to nobody whose permission names a path.
 *
 * @param install What to do where it is missing.
 * @throws {MissingLibraryError} If it is not there, or lacks one of the symbols.
 * @throws {Deno.errors.NotCapable} If the permission is missing.
 */
export function openSystemLibrary<const S extends Deno.ForeignLibraryInterface>(
  soname: string,
  symbols: S,
  install: string,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(soname, symbols);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    throw new MissingLibraryError(`Cannot open library "${soname}": ${install}`, { cause });
  }
}
