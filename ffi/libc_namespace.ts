/** The C library: looking at the host from another network namespace (setns(2)). */

import { FileDescriptor, lastErrno, LibcError, readKernelLink } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int setns(int fd, int nstype)
  setns: { parameters: ["i32", "i32"], result: "i32" },
} as const;

const CLONE_NEWNET = 0x40000000;
const EPERM = 1;
/** Not /proc/self: a namespace is a thread's. */
const OWN = "/proc/thread-self/ns/net";

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

/** A network namespace, held open. */
export class NetworkNamespace implements Disposable {
  readonly #file: FileDescriptor;

  private constructor(file: FileDescriptor) {
    this.#file = file;
  }

  /** The namespace `inode` by way of a process in it; null where that process is gone, or in another namespace by now. */
  static of(pid: number, inode: number): NetworkNamespace | null {
    const file = FileDescriptor.open(`/proc/${pid}/ns/net`);
    if (file === null) return null;
    if (readKernelLink(`/proc/self/fd/${file.fd}`) === `net:[${inode}]`) return new NetworkNamespace(file);
    file[Symbol.dispose]();
    return null;
  }

  /**
   * Runs `act` with this thread in the namespace; it must not wait for anything.
   *
   * @returns What `act` does, or null where the agent may not enter, which needs CAP_SYS_ADMIN.
   * @throws {LibcError} If entering fails otherwise, or the way back does.
   */
  within<T>(act: () => T): T | null {
    using own = FileDescriptor.open(OWN);
    if (own === null) throw new Error(`Cannot enter a network namespace: "${OWN}" is not there to come back to`);
    if (!enter(this.#file)) return null;
    using back = new DisposableStack();
    back.defer(() => {
      if (!enter(own)) throw new LibcError("come back from a network namespace", EPERM);
    });
    return act();
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/** False where this is not allowed. */
function enter(namespace: FileDescriptor): boolean {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  if (library.symbols.setns(namespace.fd, CLONE_NEWNET) === 0) return true;
  const errno = lastErrno();
  if (errno === EPERM) return false;
  throw new LibcError("enter a network namespace", errno);
}
