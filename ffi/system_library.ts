/** Opens a shared library of the operating system by its soname, from the system's own folders only. */

/**
 * Folders of the usual dynamic linkers. A library is opened by its whole path, because `--allow-ffi` grants paths:
 * with `--allow-ffi=/lib,/lib64,/usr/lib,/usr/lib64` a program may open what the system installed, and nothing else.
 */
const FOLDERS = [`/usr/lib/${Deno.build.arch}-linux-gnu`, `/lib/${Deno.build.arch}-linux-gnu`, "/usr/lib64", "/lib64", "/usr/lib", "/lib"];

/** A library that is not there; `install` names what to do. */
export class MissingLibraryError extends Error {
  override readonly name = "MissingLibraryError";
}

/**
 * Opens `soname`, for example "libc.so.6".
 *
 * @throws {MissingLibraryError} If no folder has it, or it lacks one of the symbols.
 * @throws {Deno.errors.NotCapable} If the permission is missing.
 */
export function openSystemLibrary<const S extends Deno.ForeignLibraryInterface>(
  soname: string,
  symbols: S,
  install: string,
): Deno.DynamicLibrary<S> {
  let last: Error | undefined;
  for (const folder of FOLDERS) {
    try {
      return Deno.dlopen(`${folder}/${soname}`, symbols);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) throw error;
      // "No such file" of one folder must not hide "symbol not found" of another.
      if (last === undefined || !/cannot open shared object file/.test(error.message)) last = error;
    }
  }
  throw new MissingLibraryError(`Cannot open library "${soname}": it is in none of ${FOLDERS.join(", ")}; ${install}`, { cause: last });
}
