/** Services, containers and pods: what the agent calls real processes in control groups named as runtimes name them. */

import assert from "node:assert/strict";
import { compileActor, Yard } from "./attribution/actor.ts";
import { cgroupFolder } from "./attribution/container.ts";
import { namedByEnds, type NamedProcess } from "./attribution/judge.ts";
import { captureAgent } from "./captured.ts";
import { afterHiding } from "./command.ts";
import { firstMissing, missingCommand, missingKernel, testWith } from "./require.ts";

const missing = firstMissing(await missingKernel(), await missingCommand("gcc", "--version"));
const DOCKER = "d1".repeat(32), CONTAINERD = "c1".repeat(32), UNKNOWN = "ee".repeat(32);
const POD = "3a8b52d4_9f6e_4c1b_8d27_5e0f1a2b3c4d";
/** State files of runtimes, as agent/containers_test.ts has them. */
const STATE = new URL("../agent/testdata/containers", import.meta.url).pathname;

type Names = Pick<NamedProcess, "service_name" | "container_id" | "container_name" | "k8s_namespace" | "k8s_pod_name">;
const NONE: Names = { service_name: "", container_id: "", container_name: "", k8s_namespace: "", k8s_pod_name: "" };

const CASES: readonly (readonly [cgroup: string, names: Names])[] = [
  ["skyfall-test.slice/shop.service", { ...NONE, service_name: "shop" }],
  [`skyfall-test.slice/docker-${DOCKER}.scope`, { ...NONE, service_name: "web", container_id: DOCKER, container_name: "web" }],
  [`skyfall-test.slice/docker-${UNKNOWN}.scope`, { ...NONE, service_name: UNKNOWN.slice(0, 12), container_id: UNKNOWN }],
  [`skyfall-test.slice/kubepods-burstable-pod${POD}.slice/cri-containerd-${CONTAINERD}.scope`, {
    service_name: "shop/checkout",
    container_id: CONTAINERD,
    container_name: "server",
    k8s_namespace: "shop",
    k8s_pod_name: "checkout-6d4b75cb6d-hx7lp",
  }],
  ["skyfall-test.slice/session-1.scope", { ...NONE, service_name: "actor" }],
];

testWith(missing, "agent names units, containers and pods by their control groups and the runtimes' state", async () => {
  await using yard = new Yard(await compileActor(await Deno.makeTempDir()));
  const cgroups: string[] = [];
  for (const [cgroup] of CASES) cgroups.push(await cgroupFolder(yard, cgroup));
  const port = await yard.start(["serve", "loop", "127.0.0.1", 0, 1]).port;
  const withState = afterHiding(`mount --bind ${STATE}/run /run\nmount --bind ${STATE}/var/lib /var/lib`);
  const datagrams = await captureAgent(
    async () => {
      for (const cgroup of cgroups) await yard.finish(["in", `${cgroup}/cgroup.procs`, "flash", "127.0.0.1", port]);
    },
    [],
    withState,
  );
  const named = namedByEnds(datagrams);
  const clients = yard.truths.filter(({ end }) => end === "client");
  assert.equal(clients.length, CASES.length);
  for (const { local, remote, cgroup_path } of clients) {
    const { service_name, container_id, container_name, k8s_namespace, k8s_pod_name } = named.get(`${local} ${remote}`)![0]!.process!;
    const expected = CASES.find(([cgroup]) => cgroup_path === `/${cgroup}`)![1];
    assert.deepEqual({ service_name, container_id, container_name, k8s_namespace, k8s_pod_name }, expected, cgroup_path);
  }
});
