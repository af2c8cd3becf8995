/** The C library: the folders of /proc that hold processes, threads and open files. */

import { FileDescriptor, lastErrno, LibcError } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // ssize_t getdents64(int fd, void *dirp, size_t count)
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int openat(int dirfd, const char *pathname, int flags, ...)
  openat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // ssize_t readlinkat(int dirfd, const char *pathname, char *buf, size_t bufsiz)
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "isize" },
} as const;

const DIRENTS_BYTES = 32_768, DIRENT_LENGTH = 16, DIRENT_NAME = 19;
const O_RDONLY = 0, O_CLOEXEC = 0o2000000, O_DIRECTORY = 0o200000;
const EPERM = 1, ENOENT = 2, ESRCH = 3, EACCES = 13;
const LINK_BYTES_MAX = 64, STAT_BYTES_MAX = 1_024;
const encoder = new TextEncoder(), decoder = new TextDecoder();

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

function libc(): Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library 2.30 or newer");
  return library.symbols;
}

/** Entries of an open folder that are numbers: processes of /proc, threads, open files; none where their process is gone. */
export function numbersIn(folder: FileDescriptor): number[] {
  const buffer = new Uint8Array(DIRENTS_BYTES), view = new DataView(buffer.buffer);
  const numbers: number[] = [];
  for (;;) {
    const bytes = Number(libc().getdents64(folder.fd, buffer, BigInt(buffer.length)));
    if (bytes < 0) throwUnlessGone("list a folder of /proc");
    if (bytes <= 0) return numbers;
    for (let at = 0; at < bytes; at += view.getUint16(at + DIRENT_LENGTH, true)) {
      const start = at + DIRENT_NAME;
      const name = decoder.decode(buffer.subarray(start, buffer.indexOf(0, start)));
      if (/^\d+$/.test(name)) numbers.push(Number(name));
    }
  }
}

/** Ids of all processes. */
export function processIds(): number[] {
  using folder = FileDescriptor.openDirectory("/proc");
  return numbersIn(folder);
}

/** /proc/PID, held open: it is that process's for good, also where another has the number by now. */
export class ProcessFolder implements Disposable {
  readonly #folder: FileDescriptor;

  private constructor(folder: FileDescriptor) {
    this.#folder = folder;
  }

  /** Null where the process is gone. */
  static open(pid: number): ProcessFolder | null {
    const folder = FileDescriptor.open(`/proc/${pid}`);
    return folder && new ProcessFolder(folder);
  }

  /** Reads `stat`, for what the kernel does meanwhile; false where the process is gone. */
  readStat(): boolean {
    using file = this.#open("stat", O_RDONLY);
    if (file === null) return false;
    const bytes = libc().read(file.fd, new Uint8Array(STAT_BYTES_MAX), BigInt(STAT_BYTES_MAX));
    if (bytes < 0) throwUnlessGone("read stat of a process");
    return bytes > 0;
  }

  /** Follows the link of every open file, for what the kernel does meanwhile; of none where they are not the agent's to look at. */
  followOpenFiles(): void {
    using folder = this.#open("fd", O_RDONLY | O_DIRECTORY);
    if (folder === null) return;
    const target = new Uint8Array(LINK_BYTES_MAX);
    for (const fd of numbersIn(folder)) {
      const bytes = libc().readlinkat(folder.fd, encoder.encode(`${fd}\0`), target, BigInt(target.length));
      if (bytes < 0) throwUnlessGone("follow a link to an open file");
    }
  }

  #open(name: string, flags: number): FileDescriptor | null {
    const fd = libc().openat(this.#folder.fd, encoder.encode(`${name}\0`), flags | O_CLOEXEC);
    if (fd >= 0) return new FileDescriptor(fd);
    throwUnlessGone(`open "${name}" of a process`);
    return null;
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** Processes end while they are looked at, and some are not ours to look at. */
function throwUnlessGone(action: string): void {
  const errno = lastErrno();
  if (![EPERM, ENOENT, ESRCH, EACCES].includes(errno)) throw new LibcError(action, errno);
}
