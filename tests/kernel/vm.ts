/** Boots a kernel in qemu over this machine's own files, which it cannot change, and runs one script there. */

import { BOOT_MODULES, type Kernel } from "../../tools/kernels.ts";

/** What the script did. */
export interface VmResult {
  /** The script's, or null where the machine did not get as far as its end. */
  readonly code: number | null;
  /** What it printed, both streams. */
  readonly output: string;
  readonly seconds: number;
}

/** Several times what it takes, for slow and busy hosts. */
const DEADLINE_S = 600, BOOT_DEADLINE_S = 120;
/** qemu without KVM now and then misses that the kernel changed an instruction of its own, and the kernel panics at boot. */
const BOOTS_MAX = 3;
const MEMORY_MIB = 3_072;
const BEGIN = "SKYFALL-VM-BEGIN", END = "SKYFALL-VM-END";

/** The first process: mounts the host's files under a layer that takes the writes, and runs the script as root. */
const INIT = `#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /proc /sys /dev /mnt /rw /new
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in ${BOOT_MODULES.join(" ")}; do [ -f /m/$m.ko ] && $B insmod /m/$m.ko; done 2> /dev/null
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 root /mnt
$B mount -t tmpfs tmpfs /rw; $B mkdir /rw/u /rw/w
$B mount -t overlay -o lowerdir=/mnt,upperdir=/rw/u,workdir=/rw/w overlay /new
for d in proc sys dev; do $B mount --move /$d /new/$d; done
$B mkdir -p /new/dev/shm; $B mount -t tmpfs shm /new/dev/shm; $B mount -t tmpfs run /new/run
$B mount -t bpf b /new/sys/fs/bpf; $B mount -t cgroup2 c /new/sys/fs/cgroup
$B ip link set lo up
script=$($B sed 's/.*skyfall_script=\\([^ ]*\\).*/\\1/' /new/proc/cmdline)
echo ${BEGIN}
$B chroot /new /bin/bash "$script" 2>&1
echo "${END}:$?"
echo o > /new/proc/sysrq-trigger; $B sleep 5
`;

/**
 * Runs a bash script in a virtual machine with this kernel: root, a loopback interface, no network, PATH and HOME as here.
 *
 * @throws {Error} If qemu or what makes its first file system is missing or fails.
 */
export async function runInVm(kernel: Kernel, script: string): Promise<VmResult> {
  const startMs = performance.now();
  const folder = await Deno.makeTempDir();
  try {
    await makeInitrd(kernel, folder);
    const exports = ["PATH", "HOME"].map((name) => `export ${name}='${Deno.env.get(name)}'`).join("\n");
    await Deno.writeTextFile(`${folder}/script`, `${exports}\nexport TERM=dumb NO_COLOR=1\n${script}\n`);
    const text = await boot(kernel, folder);
    const begin = text.indexOf(BEGIN), end = text.lastIndexOf(END);
    const code = /:(\d+)/.exec(end < 0 ? "" : text.slice(end))?.[1];
    const output = text.slice(begin + BEGIN.length, end < 0 ? undefined : end).trim();
    return { code: code === undefined ? null : Number(code), output, seconds: (performance.now() - startMs) / 1_000 };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function makeInitrd(kernel: Kernel, folder: string): Promise<void> {
  const root = `${folder}/init`;
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.mkdir(`${root}/m`);
  await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
  for await (const { name } of Deno.readDir(kernel.modules)) await Deno.copyFile(`${kernel.modules}/${name}`, `${root}/m/${name}`);
  await Deno.writeTextFile(`${root}/init`, INIT, { mode: 0o755 });
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", `cd "$1" && find . | cpio --create --format=newc --quiet > "$2"`, "sh", root, `${folder}/initrd`],
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot make the first file system: ${new TextDecoder().decode(stderr)}`);
}

/** What the machine printed, of the first boot that got as far as the script. */
async function boot(kernel: Kernel, folder: string): Promise<string> {
  for (let boots = 1;; boots++) {
    const { text, errors } = await runQemu(kernel, folder);
    if (text.includes(BEGIN)) return text;
    if (boots === BOOTS_MAX) throw new Error(`Cannot boot kernel ${kernel.release}: ${text}${errors}`);
    console.error(
      `kernel ${kernel.release} did not boot, which is tried again: ${text.split("\n").find((line) => /Oops|panic/.test(line)) ?? errors}`,
    );
  }
}

async function runQemu(kernel: Kernel, folder: string): Promise<{ readonly text: string; readonly errors: string }> {
  const qemu = new Deno.Command("timeout", {
    args: [
      String(DEADLINE_S),
      "qemu-system-x86_64",
      ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", `${MEMORY_MIB}M`, "-nographic", "-nic", "none", "-no-reboot"],
      ...["-kernel", kernel.vmlinuz, "-initrd", `${folder}/initrd`],
      ...["-fsdev", "local,id=r,path=/,security_model=none,readonly=on,multidevs=remap", "-device", "virtio-9p-pci,fsdev=r,mount_tag=root"],
      ...["-append", `console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off skyfall_script=${folder}/script`],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const bootDeadline = setTimeout(() => {
    if (!text.includes(BEGIN)) qemu.kill();
  }, BOOT_DEADLINE_S * 1_000);
  const errors = new Response(qemu.stderr).text();
  for await (const part of qemu.stdout.pipeThrough(new TextDecoderStream())) text += part;
  clearTimeout(bootDeadline);
  return { text: text.replaceAll("\r", ""), errors: await errors };
}
