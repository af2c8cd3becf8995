/** Names of containers and pods, from state files as each runtime writes them. */

import assert from "node:assert/strict";
import { type ContainerNames, ContainerTable, NO_CONTAINER, workloadOf } from "./containers.ts";

const table = new ContainerTable(new URL("testdata/containers", import.meta.url).pathname);

const CASES: readonly (readonly [what: string, id: string, names: Partial<ContainerNames>])[] = [
  ["Docker", "d1", { container_name: "web", service_name: "web" }],
  ["Docker Compose, whose replicas are one service", "d2", { container_name: "shop-api-2", service_name: "shop/api" }],
  ["Docker Swarm", "d3", { container_name: "shop_db.1.k2x", service_name: "shop_db" }],
  ["Docker under Kubernetes", "d4", { container_name: "web", k8s_namespace: "shop", k8s_pod_name: "web-0", service_name: "shop/web" }],
  ["containerd under Kubernetes", "c1", {
    container_name: "server",
    k8s_namespace: "shop",
    k8s_pod_name: "checkout-6d4b75cb6d-hx7lp",
    service_name: "shop/checkout",
  }],
  ["k3s", "c2", {
    container_name: "traefik",
    k8s_namespace: "kube-system",
    k8s_pod_name: "traefik-x9z2k",
    service_name: "kube-system/traefik",
  }],
  ["nerdctl", "c3", { container_name: "cache", service_name: "cache" }],
  ["CRI-O", "0c", { container_name: "postgres", k8s_namespace: "data", k8s_pod_name: "postgres-2", service_name: "data/postgres" }],
  ["Podman", "0d", { container_name: "wiki", service_name: "wiki" }],
  ["no container that no runtime knows", "ee", {}],
  ["no container whose state is just being written", "df", {}],
];

for (const [what, id, names] of CASES) {
  Deno.test(`ContainerTable knows ${what}`, () => {
    assert.deepEqual(table.find(id.repeat(32)), { ...NO_CONTAINER, ...names });
  });
}

Deno.test("ContainerTable takes the name of a container that has no other id", () => {
  assert.deepEqual(table.find("my-lxc"), { ...NO_CONTAINER, container_name: "my-lxc", service_name: "my-lxc" });
});

Deno.test("ContainerTable reads a container's state once, so that it outlives the container", async () => {
  const root = await Deno.makeTempDir(), id = "d1".repeat(32), folder = `${root}/var/lib/docker/containers/${id}`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/config.v2.json`, `{"Name": "/short"}`);
  const short = new ContainerTable(root);
  assert.equal(short.find(id).container_name, "short");
  await Deno.remove(root, { recursive: true });
  assert.equal(short.find(id).container_name, "short");
});

Deno.test("ContainerTable looks again for a container that it did not find, and where Docker was told to keep it", async () => {
  const root = await Deno.makeTempDir(), id = "d1".repeat(32), folder = `${root}/data/docker/containers/${id}`;
  const late = new ContainerTable(root);
  assert.deepEqual(late.find(id), NO_CONTAINER);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.mkdir(`${root}/etc/docker`, { recursive: true });
  await Deno.writeTextFile(`${folder}/config.v2.json`, `{"Name": "/late"}`);
  await Deno.writeTextFile(`${root}/etc/docker/daemon.json`, `{"data-root": "/data/docker"}`);
  assert.equal(late.find(id).container_name, "late");
  await Deno.remove(root, { recursive: true });
});

Deno.test("workloadOf() takes off what Kubernetes' controllers append, and nothing else", () => {
  const cases: readonly [string, string][] = [
    ["checkout-6d4b75cb6d-hx7lp", "checkout"],
    ["coredns-76f75df574-8bdw2", "coredns"],
    ["kube-proxy-x9z2k", "kube-proxy"],
    ["postgres-2", "postgres"],
    ["kube-apiserver-node-a", "kube-apiserver-node-a"],
    ["web-store", "web-store"],
  ];
  for (const [pod, workload] of cases) assert.equal(workloadOf(pod), workload);
});
