/** A file that is in memory alone, for libraries that want a path. */

import { FileDescriptor, lastErrno, LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int memfd_create(const char *name, unsigned int flags)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count)
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
} as const;

const MFD_CLOEXEC = 1;

/** Gone when it leaves its scope. */
export class MemoryFile implements Disposable {
  readonly #file: FileDescriptor;

  /** @throws {LibcError} If the kernel refuses. */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const { memfd_create, write } = openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library").symbols;
    const fd = memfd_create(new TextEncoder().encode("skyfall\0"), MFD_CLOEXEC);
    if (fd < 0) throw new LibcError("make a file in memory", lastErrno());
    this.#file = new FileDescriptor(fd);
    if (Number(write(fd, bytes, BigInt(bytes.length))) !== bytes.length) throw new LibcError("write a file in memory", lastErrno());
  }

  /** Readable by this process while the file is there. */
  get path(): string {
    return `/proc/self/fd/${this.#file.fd}`;
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}
