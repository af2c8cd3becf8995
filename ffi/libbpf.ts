/** libbpf: loads and attaches kernel programs, reads their iterators and counters. */

import { RingBuffer } from "./bpf_ring_buffer.ts";
import { LibbpfError, refusedMap } from "./libbpf_error.ts";
import { FileDescriptor, lastErrno } from "./libc.ts";
import type { NetworkNamespace } from "./libc_namespace.ts";
import { openSystemLibrary } from "./system_library.ts";

const LIBBPF_SYMBOLS = {
  // libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn)
  libbpf_set_print: { parameters: ["function"], result: "pointer" },
  // int libbpf_num_possible_cpus(void)
  libbpf_num_possible_cpus: { parameters: [], result: "i32" },
  // struct bpf_object *bpf_object__open_mem(const void *obj_buf, size_t obj_buf_sz, const struct bpf_object_open_opts *opts)
  bpf_object__open_mem: { parameters: ["buffer", "usize", "pointer"], result: "pointer" },
  // int bpf_program__set_autoload(struct bpf_program *prog, bool autoload)
  bpf_program__set_autoload: { parameters: ["pointer", "bool"], result: "i32" },
  // int bpf_object__load(struct bpf_object *obj)
  bpf_object__load: { parameters: ["pointer"], result: "i32" },
  // void bpf_object__close(struct bpf_object *obj)
  bpf_object__close: { parameters: ["pointer"], result: "void" },
  // struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj, const char *name)
  bpf_object__find_program_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  // struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name)
  bpf_object__find_map_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  // __u32 bpf_map__max_entries(const struct bpf_map *map)
  bpf_map__max_entries: { parameters: ["pointer"], result: "u32" },
  // __u32 bpf_map__key_size(const struct bpf_map *map)
  bpf_map__key_size: { parameters: ["pointer"], result: "u32" },
  // __u32 bpf_map__value_size(const struct bpf_map *map)
  bpf_map__value_size: { parameters: ["pointer"], result: "u32" },
  // int bpf_map__reuse_fd(struct bpf_map *map, int fd)
  bpf_map__reuse_fd: { parameters: ["pointer", "i32"], result: "i32" },
  // int bpf_object__find_map_fd_by_name(const struct bpf_object *obj, const char *name)
  bpf_object__find_map_fd_by_name: { parameters: ["pointer", "buffer"], result: "i32" },
  // struct bpf_link *bpf_program__attach(const struct bpf_program *prog)
  bpf_program__attach: { parameters: ["pointer"], result: "pointer" },
  // struct bpf_link *bpf_program__attach_kprobe(const struct bpf_program *prog, bool retprobe, const char *func_name)
  bpf_program__attach_kprobe: { parameters: ["pointer", "bool", "buffer"], result: "pointer" },
  // struct bpf_link *bpf_program__attach_cgroup(const struct bpf_program *prog, int cgroup_fd)
  bpf_program__attach_cgroup: { parameters: ["pointer", "i32"], result: "pointer" },
  // struct bpf_link *bpf_program__attach_iter(const struct bpf_program *prog, const struct bpf_iter_attach_opts *opts)
  bpf_program__attach_iter: { parameters: ["pointer", "pointer"], result: "pointer" },
  // int bpf_program__fd(const struct bpf_program *prog)
  bpf_program__fd: { parameters: ["pointer"], result: "i32" },
  // int bpf_obj_get_info_by_fd(int bpf_fd, void *info, __u32 *info_len)
  bpf_obj_get_info_by_fd: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int bpf_link__fd(const struct bpf_link *link)
  bpf_link__fd: { parameters: ["pointer"], result: "i32" },
  // int bpf_link__destroy(struct bpf_link *link)
  bpf_link__destroy: { parameters: ["pointer"], result: "i32" },
  // int bpf_iter_create(int link_fd)
  bpf_iter_create: { parameters: ["i32"], result: "i32" },
  // int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts)
  bpf_prog_test_run_opts: { parameters: ["i32", "buffer"], result: "i32" },
  // int bpf_map_get_next_key(int fd, const void *key, void *next_key)
  bpf_map_get_next_key: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
  bpf_map_update_elem: { parameters: ["i32", "buffer", "buffer", "u64"], result: "i32" },
  // int bpf_map_lookup_elem(int fd, const void *key, void *value)
  bpf_map_lookup_elem: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

const LIBC_SYMBOLS = {
  // int vsnprintf(char *str, size_t size, const char *format, va_list ap)
  vsnprintf: { parameters: ["buffer", "usize", "pointer", "pointer"], result: "i32" },
} as const;

const ITERATOR_BUFFER_BYTES = 1 << 18;
const LOG_LINES_MAX = 100, LOG_BYTES_MAX = 1 << 20;
/** enum libbpf_print_level: warnings, the verifier's words among them, then information; beyond it is tracing. */
const LIBBPF_INFO = 1;
const ENOENT = 2, EAGAIN = 11;
/** Offsets in `struct bpf_object_open_opts` and `struct bpf_test_run_opts`; each begins with its own size. */
const OPEN_OPTS_BYTES = 56, OPEN_OPTS_BTF_PATH = 48;
/** Offset of `recursion_misses` in `struct bpf_prog_info`, which ends before it in kernels older than 5.12. */
const PROG_INFO_BYTES = 216, PROG_INFO_MISSES = 208;
/** The same in `struct bpf_link_info`, for a kernel function's entry or return; `type` comes first. */
const LINK_INFO_BYTES = 64, LINK_INFO_MISSES = 48, LINK_TYPE_PERF_EVENT = 7;
const TEST_RUN_OPTS_BYTES = 80, TEST_RUN_CTX_IN = 32, TEST_RUN_CTX_SIZE_IN = 48;

type Libbpf = Deno.DynamicLibrary<typeof LIBBPF_SYMBOLS>["symbols"];
type Libc = Deno.DynamicLibrary<typeof LIBC_SYMBOLS>["symbols"];

let libraries: { bpf: Libbpf; libc: Libc } | undefined;
/** The last lines that libbpf printed: the verifier's log among them. */
let logLines: string[] = [];

function open(): { bpf: Libbpf; libc: Libc } {
  if (libraries !== undefined) return libraries;
  const bpf = openSystemLibrary(
    "libbpf.so.1",
    LIBBPF_SYMBOLS,
    'install it, on Debian and Ubuntu with "apt-get install libbpf1", on Fedora "dnf install libbpf"',
  ).symbols;
  const libc = openSystemLibrary("libc.so.6", LIBC_SYMBOLS, "Skyfall needs a Linux with the GNU C library").symbols;
  const text = new Uint8Array(LOG_BYTES_MAX); // the verifier's log comes in one piece, and what matters is its end
  // A va_list argument is an address on x86-64 and on arm64, so that it can be handed on as one.
  const print = new Deno.UnsafeCallback(
    { parameters: ["i32", "pointer", "pointer"], result: "i32" },
    (level, format, list) => {
      if (level > LIBBPF_INFO) return 0;
      const bytes = libc.vsnprintf(text, BigInt(text.length), format, list);
      logLines.push(...new TextDecoder().decode(text.subarray(0, Math.min(bytes, text.length - 1))).trimEnd().split("\n"));
      if (logLines.length > LOG_LINES_MAX) logLines = logLines.slice(-LOG_LINES_MAX);
      return bytes;
    },
  );
  bpf.libbpf_set_print(print.pointer);
  libraries = { bpf, libc };
  return libraries;
}

function failure(action: string, errno: number): LibbpfError {
  const log = logLines.join("\n");
  logLines = [];
  return new LibbpfError(action, Math.abs(errno), log);
}

export { LibbpfError };

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** What is done otherwise than the ELF object says. */
export interface LoadOptions {
  /** Programs that are left out. */
  readonly without?: readonly string[];
  /** Maps of another object, by their name in both, in place of new ones. */
  readonly shared?: ReadonlyMap<string, number>;
  /** Path of type information (BTF, raw) of this kernel, where the kernel has none of its own. */
  readonly btfPath?: string;
}

/** A BPF object in the kernel. Disposing of it detaches and unloads everything. */
export class BpfObject implements Disposable {
  readonly #object: Deno.PointerValue;
  /** By program. */
  readonly #links = new Map<string, Deno.PointerValue>();
  /** By program, each with what it is read into. */
  readonly #iterators = new Map<string, { readonly link: Deno.PointerValue; readonly buffer: Uint8Array<ArrayBuffer> }>();

  private constructor(object: Deno.PointerValue) {
    this.#object = object;
  }

  /**
   * Opens an ELF object and loads its programs and maps.
   *
   * @throws {LibbpfError} If the kernel refuses; `log` holds the verifier's words.
   */
  static load(elf: Uint8Array<ArrayBuffer>, { without = [], shared = new Map(), btfPath }: LoadOptions = {}): BpfObject {
    const { bpf } = open();
    const path = btfPath === undefined ? null : cString(btfPath);
    const options = new BigUint64Array(OPEN_OPTS_BYTES / 8);
    options[0] = BigInt(OPEN_OPTS_BYTES);
    options[OPEN_OPTS_BTF_PATH / 8] = Deno.UnsafePointer.value(path && Deno.UnsafePointer.of(path));
    const object = bpf.bpf_object__open_mem(elf, BigInt(elf.length), Deno.UnsafePointer.of(options));
    if (object === null) throw failure("open the BPF object", lastErrno());
    using stack = new DisposableStack();
    const opened = stack.use(new BpfObject(object));
    for (const name of without) bpf.bpf_program__set_autoload(opened.#program(name), false);
    for (const [name, fd] of shared) bpf.bpf_map__reuse_fd(bpf.bpf_object__find_map_by_name(object, cString(name)), fd);
    const result = bpf.bpf_object__load(object);
    if (result < 0) {
      const map = refusedMap(logLines);
      throw failure(map === null ? "load the BPF programs" : `make BPF map "${map}" of ${opened.#sizeOf(map)} bytes`, result);
    }
    stack.move();
    return opened;
  }

  /** Bytes of a map when it is full, without what the kernel adds; a ring buffer's entries are bytes. */
  #sizeOf(name: string): number {
    const { bpf } = open();
    const map = bpf.bpf_object__find_map_by_name(this.#object, cString(name));
    return bpf.bpf_map__max_entries(map) * Math.max(1, bpf.bpf_map__key_size(map) + bpf.bpf_map__value_size(map));
  }

  /** Attaches a program where its section name says. */
  attach(program: string): void {
    const link = open().bpf.bpf_program__attach(this.#program(program));
    if (link === null) throw failure(`attach program "${program}"`, lastErrno());
    this.#links.set(program, link);
  }

  /** Attaches a program to the entry of another kernel function than its section names. */
  attachKprobe(program: string, kernelFunction: string): void {
    const link = open().bpf.bpf_program__attach_kprobe(this.#program(program), false, cString(kernelFunction));
    if (link === null) throw failure(`attach program "${program}" to kernel function "${kernelFunction}"`, lastErrno());
    this.#links.set(program, link);
  }

  /** Attaches a program to the control group (version 2) at `path`. */
  attachCgroup(program: string, path: string): void {
    using group = FileDescriptor.openDirectory(path);
    const link = open().bpf.bpf_program__attach_cgroup(this.#program(program), group.fd);
    if (link === null) throw failure(`attach program "${program}" to control group "${path}"`, lastErrno());
    this.#links.set(program, link);
  }

  /**
   * Runs an iterator program once over everything that it walks, and gives what the program wrote, in order and in pieces
   * that may end anywhere; a piece is valid until the next one is asked for. An iterator over sockets walks those of `namespace`,
   * or of the agent's own; none where the agent may not enter it. A walk of a program ends before its next begins.
   */
  *iterate(program: string, namespace: NetworkNamespace | null): Generator<Uint8Array> {
    const { bpf } = open();
    const { link, buffer } = this.#iterator(program);
    const create = () => bpf.bpf_iter_create(bpf.bpf_link__fd(link));
    const fd = namespace === null ? create() : namespace.within(create);
    if (fd === null) return;
    if (fd < 0) throw failure(`start iterator "${program}"`, fd);
    using file = new FileDescriptor(fd);
    for (;;) {
      const bytes = readAgain(file, buffer);
      if (bytes === 0) return;
      yield buffer.subarray(0, bytes);
    }
  }

  #iterator(program: string): { readonly link: Deno.PointerValue; readonly buffer: Uint8Array<ArrayBuffer> } {
    const known = this.#iterators.get(program);
    if (known !== undefined) return known;
    const link = open().bpf.bpf_program__attach_iter(this.#program(program), null);
    if (link === null) throw failure(`attach iterator "${program}"`, lastErrno());
    const iterator = { link, buffer: new Uint8Array(ITERATOR_BUFFER_BYTES) };
    this.#iterators.set(program, iterator);
    return iterator;
  }

  /**
   * How often a program, attached by its name, was to run but did not, as another ran on that processor. Null where the
   * kernel does not tell: before 5.12, and for kernel functions before 6.7.
   */
  missedRuns(program: string): number | null {
    const link = this.#links.get(program);
    const ofProgram = infoOf(open().bpf.bpf_program__fd(this.#program(program)), PROG_INFO_BYTES);
    if (link === undefined || ofProgram.bytes < PROG_INFO_BYTES) return null;
    const missed = Number(ofProgram.view.getBigUint64(PROG_INFO_MISSES, true));
    const ofLink = infoOf(open().bpf.bpf_link__fd(link), LINK_INFO_BYTES);
    if (ofLink.view.getUint32(0, true) !== LINK_TYPE_PERF_EVENT) return missed;
    return ofLink.bytes < LINK_INFO_BYTES ? null : missed + Number(ofLink.view.getBigUint64(LINK_INFO_MISSES, true));
  }

  /** Runs a program of type raw_tp once with one argument; it is attached nowhere. Since Linux 5.10. */
  runOnce(program: string, argument: bigint): void {
    const { bpf } = open();
    const args = BigUint64Array.of(argument);
    const options = new DataView(new ArrayBuffer(TEST_RUN_OPTS_BYTES));
    options.setBigUint64(0, BigInt(TEST_RUN_OPTS_BYTES), true);
    options.setBigUint64(TEST_RUN_CTX_IN, Deno.UnsafePointer.value(Deno.UnsafePointer.of(args)), true);
    options.setUint32(TEST_RUN_CTX_SIZE_IN, args.byteLength, true);
    const result = bpf.bpf_prog_test_run_opts(bpf.bpf_program__fd(this.#program(program)), options.buffer);
    if (result < 0) throw failure(`run program "${program}"`, result);
  }

  /** Keys of a hash map of 64-bit keys; one that is added or deleted meanwhile may be among them or not, or be there twice. */
  *keys(map: string): Generator<bigint> {
    const { bpf } = open();
    const fd = this.mapFd(map);
    const next = new BigUint64Array(1);
    let key: BigUint64Array<ArrayBuffer> | null = null;
    for (;;) {
      const result = bpf.bpf_map_get_next_key(fd, key, next);
      if (result === -ENOENT) return;
      if (result < 0) throw failure(`walk map "${map}"`, result);
      yield next[0]!;
      key = next.slice();
    }
  }

  /** Maps a ring buffer of `ringBytes` for reading. */
  ringBuffer(map: string, ringBytes: number): RingBuffer {
    return new RingBuffer(this.mapFd(map), ringBytes);
  }

  /** Sets the first element of an array of 64-bit numbers. */
  set(map: string, value: bigint): void {
    const result = open().bpf.bpf_map_update_elem(this.mapFd(map), Uint32Array.of(0), BigUint64Array.of(value), 0n);
    if (result < 0) throw failure(`set map "${map}"`, result);
  }

  /** Sums of a per-CPU array of `count` 64-bit counters. */
  perCpuCounters(map: string, count: number): bigint[] {
    const { bpf } = open();
    const fd = this.mapFd(map);
    const values = new BigUint64Array(bpf.libbpf_num_possible_cpus());
    return Array.from({ length: count }, (_, index) => {
      const result = bpf.bpf_map_lookup_elem(fd, new Uint32Array([index]), values);
      if (result < 0) throw failure(`read counter ${index} of map "${map}"`, result);
      return values.reduce((sum, value) => sum + value, 0n);
    });
  }

  /** File descriptors of the programs that are attached, for as long as the object is there. */
  attachedFds(): number[] {
    return [...this.#links.keys()].map((program) => open().bpf.bpf_program__fd(this.#program(program)));
  }

  [Symbol.dispose](): void {
    const { bpf } = open();
    for (const link of this.#links.values()) bpf.bpf_link__destroy(link);
    for (const { link } of this.#iterators.values()) bpf.bpf_link__destroy(link);
    bpf.bpf_object__close(this.#object);
  }

  #program(name: string): Deno.PointerValue {
    const program = open().bpf.bpf_object__find_program_by_name(this.#object, cString(name));
    if (program === null) throw failure(`find program "${name}"`, lastErrno());
    return program;
  }

  /** File descriptor of a map, for as long as the object is there. */
  mapFd(name: string): number {
    const fd = open().bpf.bpf_object__find_map_fd_by_name(this.#object, cString(name));
    if (fd < 0) throw failure(`find map "${name}"`, fd);
    return fd;
  }
}

/** What the kernel tells of a program or a link, and how many bytes of that it knows. */
function infoOf(fd: number, bytesMax: number): { readonly view: DataView; readonly bytes: number } {
  const info = new Uint8Array(bytesMax);
  const bytes = Uint32Array.of(bytesMax);
  const result = open().bpf.bpf_obj_get_info_by_fd(fd, info, bytes);
  if (result < 0) throw failure("ask the kernel about a program", result);
  return { view: new DataView(info.buffer), bytes: bytes[0]! };
}

/** The kernel answers EAGAIN where a walk passed very many objects without a record; it goes on at the next read. */
function readAgain(file: FileDescriptor, buffer: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    try {
      return file.read(buffer);
    } catch (error) {
      if (!(error instanceof Error && "errno" in error && error.errno === EAGAIN)) throw error;
    }
  }
}
