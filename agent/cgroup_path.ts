/** What the path of a control group tells: systemd unit, container and Kubernetes pod, as the runtimes lay paths out. */

/** "" for what a path does not tell. */
export interface CgroupNames {
  /** systemd service, without its suffix. */
  readonly unit: string;
  /** Id of the container (64 hexadecimal digits), or its name where the runtime knows no other id. */
  readonly container_id: string;
  /** UID of the Kubernetes pod, as the API server writes it; the configuration's hash for a static pod. */
  readonly pod_uid: string;
}

/**
 * A container's own component. Both cgroup drivers: `NAME-ID.scope` by systemd, `ID` by cgroupfs, and
 * `SLICE:NAME:ID` where the runtime was told one and uses the other.
 */
const CONTAINER = /^(?:(docker|cri-containerd|crio|libpod|libpod-payload|nerdctl|podman)-|[^:]+:[^:]+:)?([0-9a-f]{64})(?:\.scope)?$/;
/** Amazon ECS on Fargate. */
const ECS_CONTAINER = /^[0-9a-f]{32}-\d{1,10}$/;
/** LXC, LXD and systemd-nspawn know containers by name. */
const NAMED_CONTAINER = /^(?:lxc\.payload\.(.+)|systemd-nspawn@(.+)\.service|machine-(?!qemu)(.+)\.scope)$/;
/** `kubepods-burstable-podUID.slice` by systemd, with "_" for "-"; `podUID` by cgroupfs. A static pod's has no hyphens. */
const POD = /(?:^|-)pod([0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12})(?:\.slice(?::.*)?)?$/;
/** An instance for one connection of a socket unit with Accept=yes: NUMBER-LOCAL-REMOTE (systemd.socket(5)). */
const CONNECTION_INSTANCE = /@\d+-.+:\d+-.+:\d+$/;
/** Names that systemd-run(1) makes up: another for each run. */
const TRANSIENT_UNIT = /^run-(?:u\d+|r[0-9a-f]{32}|p\d+-i\d+)$/;

/** Names the innermost container, its pod, and the innermost unit that is not merely the runtime's own. */
export function parseCgroupPath(path: string): CgroupNames {
  const parts = path.split("/");
  let at = -1, container_id = "", isPodman = false;
  for (const [i, part] of parts.entries()) {
    const [, runtime, hex] = CONTAINER.exec(part) ?? [];
    const named = NAMED_CONTAINER.exec(part)?.slice(1).find((name) => name !== undefined) ?? (parts[i - 1] === "lxc" ? part : undefined);
    const id = hex ?? (parts[i - 2] === "ecs" && ECS_CONTAINER.test(part) ? part : named === undefined ? undefined : unescapeUnit(named));
    if (id === undefined || id === "") continue;
    container_id = id;
    isPodman = runtime?.startsWith("libpod") ?? false;
    at = i;
  }
  // A unit around a container is the runtime's (containerd.service), but for Podman's, which a unit runs as its own.
  const unit = unitOf(parts.slice(at + 1)) || (at < 0 || isPodman ? unitOf(parts.slice(0, Math.max(at, 0))) : "");
  const pod = parts.map((part) => POD.exec(part)?.[1]).findLast((uid) => uid !== undefined) ?? "";
  return { unit, container_id, pod_uid: pod.replaceAll("_", "-") };
}

function unitOf(parts: readonly string[]): string {
  const part = parts.findLast((part) => part.endsWith(".service") && !part.startsWith("user@"));
  if (part === undefined) return "";
  const unit = unescapeUnit(part.slice(0, -".service".length)).replace(CONNECTION_INSTANCE, "");
  return TRANSIENT_UNIT.test(unit) ? "" : unit;
}

/** systemd-escape(1): `\xHH` for a byte. */
function unescapeUnit(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}
