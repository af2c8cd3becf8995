/** Names of containers and pods, from the files in which the runtimes of this host keep their state; no daemon is asked. */

import { readKernelFile } from "../ffi/libc.ts";
import { RecentMap } from "./recent_map.ts";

/** "" for what the state does not tell. */
export interface ContainerNames {
  readonly container_name: string;
  readonly k8s_namespace: string;
  readonly k8s_pod_name: string;
  /** Name that the container's replicas share. */
  readonly service_name: string;
}

export const NO_CONTAINER: ContainerNames = { container_name: "", k8s_namespace: "", k8s_pod_name: "", service_name: "" };

const CONTAINERS_MAX = 8_192;
/** A container's configuration has some 100 kB; Podman's list of all containers far less for each. */
const STATE_BYTES_MAX = 16 << 20;

/** Bundles of the OCI runtime, which hold the orchestrator's annotations: containerd's of Kubernetes and its relatives, CRI-O's. */
const BUNDLES = [
  "/run/containerd/io.containerd.runtime.v2.task/k8s.io",
  "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io",
  "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io",
  "/run/containerd/io.containerd.runtime.v2.task/default",
];
const CRIO_BUNDLES = "/run/containers/storage/overlay-containers";
const DOCKER_CONFIG = "/etc/docker/daemon.json";
const DOCKER_DATA_ROOT = "/var/lib/docker";
const PODMAN_STORAGE = "/var/lib/containers/storage/overlay-containers/containers.json";

type Texts = Readonly<Record<string, string>>;

/** What the state files tell of each container; each is read once, when it is there. */
export class ContainerTable {
  readonly #root: string;
  readonly #names = new RecentMap<string, ContainerNames>(CONTAINERS_MAX);

  /** @param root Put before every path; "" for this host. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Names of a container, by its id; `NO_CONTAINER` where no runtime knows it. */
  find(containerId: string): ContainerNames {
    const known = this.#names.get(containerId);
    if (known !== undefined) return known;
    const names = this.#read(containerId);
    if (names === null) return NO_CONTAINER; // perhaps not yet: the next process asks again
    this.#names.set(containerId, names);
    return names;
  }

  #read(id: string): ContainerNames | null {
    if (!/^[0-9a-f]{64}$/.test(id)) return id === "" ? null : { ...NO_CONTAINER, container_name: id, service_name: id };
    const bundles = [...BUNDLES.map((folder) => `${folder}/${id}/config.json`), `${CRIO_BUNDLES}/${id}/userdata/config.json`];
    for (const path of bundles) {
      const names = fromAnnotations(textsOf(member(this.#readJson(path), "annotations")));
      if (names !== null) return names;
    }
    const dataRoot = member(this.#readJson(DOCKER_CONFIG), "data-root");
    const docker = typeof dataRoot === "string" ? dataRoot : DOCKER_DATA_ROOT;
    return fromDocker(this.#readJson(`${docker}/containers/${id}/config.v2.json`)) ?? fromPodman(this.#readJson(PODMAN_STORAGE), id);
  }

  /** Null where there is no such file, or a runtime is just writing it. */
  #readJson(path: string): unknown {
    const bytes = readKernelFile(this.#root + path, STATE_BYTES_MAX);
    if (bytes === null) return null;
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  }
}

/** By CRI-O (and dockershim's labels), containerd and nerdctl. */
function fromAnnotations(texts: Texts): ContainerNames | null {
  const pod = texts["io.kubernetes.pod.name"] ?? texts["io.kubernetes.cri.sandbox-name"] ?? "";
  const namespace = texts["io.kubernetes.pod.namespace"] ?? texts["io.kubernetes.cri.sandbox-namespace"] ?? "";
  if (pod !== "") {
    return {
      container_name: texts["io.kubernetes.container.name"] ?? texts["io.kubernetes.cri.container-name"] ?? "",
      k8s_namespace: namespace,
      k8s_pod_name: pod,
      service_name: `${namespace}/${workloadOf(pod)}`,
    };
  }
  const name = texts["nerdctl/name"] ?? "";
  return name === "" ? null : { ...NO_CONTAINER, container_name: name, service_name: name };
}

function fromDocker(state: unknown): ContainerNames | null {
  const name = member(state, "Name");
  if (typeof name !== "string") return null;
  const labels = textsOf(member(member(state, "Config"), "Labels"));
  const container_name = name.replace(/^\//, "");
  const project = labels["com.docker.compose.project"], service = labels["com.docker.compose.service"];
  const composed = project === undefined || service === undefined ? undefined : `${project}/${service}`;
  return fromAnnotations(labels) ??
    { ...NO_CONTAINER, container_name, service_name: labels["com.docker.swarm.service.name"] ?? composed ?? container_name };
}

function fromPodman(state: unknown, id: string): ContainerNames | null {
  if (!Array.isArray(state)) return null;
  const names = member(state.find((container: unknown) => member(container, "id") === id), "names");
  const name: unknown = Array.isArray(names) ? names[0] : null;
  return typeof name === "string" ? { ...NO_CONTAINER, container_name: name, service_name: name } : null;
}

/** What Kubernetes' generated names are made of: no vowels, and no digits that look like them. */
const GENERATED = "[bcdfghjklmnpqrstvwxz2456789]";
const REPLICA = new RegExp(`^(.+?)(?:-${GENERATED}{6,10})?-${GENERATED}{5}$`);

/** What created a pod: its name without what Deployments, DaemonSets and Jobs append, or a StatefulSet's ordinal. */
export function workloadOf(podName: string): string {
  return REPLICA.exec(podName)?.[1] ?? podName.replace(/-\d+$/, "");
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;
}

function textsOf(value: unknown): Texts {
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(entries.flatMap(([key, text]): [string, string][] => typeof text === "string" ? [[key, text]] : []));
}
