/** The C library: control groups by id, which is a file handle of their file system (open_by_handle_at(2)). */

import { FileDescriptor, lastErrno, LibcError, readKernelLink } from "./libc.ts";
import { openSystemLibrary } from "./system_library.ts";

const SYMBOLS = {
  // int open_by_handle_at(int mount_fd, struct file_handle *handle, int flags)
  open_by_handle_at: { parameters: ["i32", "buffer", "i32"], result: "i32" },
} as const;

/** FILEID_KERNFS of the kernel's include/linux/exportfs.h: the handle is the id alone. */
const FILEID_KERNFS = 0xfe, ID_BYTES = 8, HANDLE_BYTES = 16, ID_AT = 8;
const O_PATH = 0o10000000, O_CLOEXEC = 0o2000000;
const EPERM = 1, ENOENT = 2, ESTALE = 116;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | undefined;

/**
 * Path of a control group.
 *
 * @param root Folder in which the hierarchy is mounted.
 * @param id As bpf_get_current_cgroup_id() has it.
 * @returns A path that begins with the root's, or null where the group is gone or this user may not look it up, which needs
 *   CAP_DAC_READ_SEARCH.
 * @throws {LibcError} If the look-up fails otherwise.
 */
export function cgroupPathOf(root: string, id: number): string | null {
  library ??= openSystemLibrary("libc.so.6", SYMBOLS, "Skyfall needs a Linux with the GNU C library");
  const handle = new Uint8Array(HANDLE_BYTES);
  const view = new DataView(handle.buffer);
  view.setUint32(0, ID_BYTES, true);
  view.setInt32(4, FILEID_KERNFS, true);
  view.setBigUint64(ID_AT, BigInt(id), true);
  using folder = FileDescriptor.openDirectory(root);
  const fd = library.symbols.open_by_handle_at(folder.fd, handle, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    const errno = lastErrno();
    if (errno === EPERM || errno === ENOENT || errno === ESTALE) return null;
    throw new LibcError(`open control group ${id}`, errno);
  }
  using group = new FileDescriptor(fd);
  return readKernelLink(`/proc/self/fd/${group.fd}`);
}
