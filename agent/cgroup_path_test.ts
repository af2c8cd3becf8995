/** Paths of control groups as they are found on hosts, of both versions, both drivers and every common runtime. */

import assert from "node:assert/strict";
import { type CgroupNames, parseCgroupPath } from "./cgroup_path.ts";

const ID = "5f2c8ad9e01b4c7d".repeat(4), OTHER = "e3b0c44298fc1c14".repeat(4);
const UID = "3a8b52d4-9f6e-4c1b-8d27-5e0f1a2b3c4d", UNDERSCORED = UID.replaceAll("-", "_"), HASH = "7f9c2ba4e88f827d616045507605853e";

const CASES: readonly (readonly [what: string, path: string, names: Partial<CgroupNames>])[] = [
  ["no group", "", {}],
  ["the root", "/", {}],
  ["a unit", "/system.slice/nginx.service", { unit: "nginx" }],
  ["a unit with groups of its own", "/system.slice/nginx.service/worker/3", { unit: "nginx" }],
  ["an instance", "/system.slice/system-postgresql.slice/postgresql@15-main.service", { unit: "postgresql@15-main" }],
  ["an escaped name", "/system.slice/dbus\\x2dbroker.service", { unit: "dbus-broker" }],
  ["a snap", "/system.slice/snap.lxd.daemon.service", { unit: "snap.lxd.daemon" }],
  ["an instance for one connection", "/system.slice/system-sshd.slice/sshd@12-10.0.0.1:22-10.0.0.2:51234.service", { unit: "sshd" }],
  ["the same over IPv6", "/system.slice/system-sshd.slice/sshd@0-fd00::1:22-fd00::2:51234.service", { unit: "sshd" }],
  ["a transient unit", "/system.slice/run-u123.service", {}],
  ["a transient unit of a newer systemd", "/system.slice/run-p4711-i4712.service", {}],
  ["a user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service", { unit: "syncthing" }],
  ["a user's session", "/user.slice/user-1000.slice/session-3.scope", {}],
  ["a user's manager", "/user.slice/user-1000.slice/user@1000.service/init.scope", {}],
  ["Docker, systemd", `/system.slice/docker-${ID}.scope`, { container_id: ID }],
  ["Docker, cgroupfs", `/docker/${ID}`, { container_id: ID }],
  ["Docker, rootless", `/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${ID}.scope`, { container_id: ID }],
  ["Docker in Docker", `/system.slice/docker-${OTHER}.scope/docker/${ID}`, { container_id: ID }],
  ["systemd in Docker", `/docker/${ID}/system.slice/nginx.service`, { container_id: ID, unit: "nginx" }],
  ["systemd in Docker, its init", `/docker/${ID}/init.scope`, { container_id: ID }],
  ["a namespace's view of a sibling", `/../${ID}`, { container_id: ID }],
  ["nerdctl", `/system.slice/nerdctl-${ID}.scope`, { container_id: ID }],
  ["containerd's default namespace, cgroupfs", `/default/${ID}`, { container_id: ID }],
  ["Podman", `/machine.slice/libpod-${ID}.scope/container`, { container_id: ID }],
  ["Podman, rootless", `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`, { container_id: ID }],
  ["Podman, cgroupfs", `/libpod_parent/libpod-${ID}`, { container_id: ID }],
  ["Podman, run by a unit", `/system.slice/shop.service/libpod-payload-${ID}`, { container_id: ID, unit: "shop" }],
  ["Podman's monitor", `/machine.slice/libpod-conmon-${ID}.scope`, {}],
  [
    "Kubernetes, containerd, systemd, burstable",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    {
      container_id: ID,
      pod_uid: UID,
    },
  ],
  ["the same, guaranteed", `/kubepods.slice/kubepods-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`, {
    container_id: ID,
    pod_uid: UID,
  }],
  [
    "Kubernetes, CRI-O",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UNDERSCORED}.slice/crio-${ID}.scope/container`,
    {
      container_id: ID,
      pod_uid: UID,
    },
  ],
  ["CRI-O's monitor", `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UNDERSCORED}.slice/crio-conmon-${ID}.scope`, {
    pod_uid: UID,
  }],
  ["Kubernetes, Docker", `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UNDERSCORED}.slice/docker-${ID}.scope`, {
    container_id: ID,
    pod_uid: UID,
  }],
  ["Kubernetes, cgroupfs, burstable", `/kubepods/burstable/pod${UID}/${ID}`, { container_id: ID, pod_uid: UID }],
  ["Kubernetes, cgroupfs, guaranteed", `/kubepods/pod${UID}/${ID}`, { container_id: ID, pod_uid: UID }],
  ["a static pod", `/kubepods/burstable/pod${HASH}/${ID}`, { container_id: ID, pod_uid: HASH }],
  ["a static pod, systemd", `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${HASH}.slice/cri-containerd-${ID}.scope`, {
    container_id: ID,
    pod_uid: HASH,
  }],
  [
    "kind",
    `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod${UNDERSCORED}.slice/cri-containerd-${ID}.scope`,
    {
      container_id: ID,
      pod_uid: UID,
    },
  ],
  ["kind, cgroupfs, in Docker", `/docker/${OTHER}/kubelet/kubepods/besteffort/pod${UID}/${ID}`, { container_id: ID, pod_uid: UID }],
  [
    "systemd's path for cgroupfs, version 1",
    `/system.slice/containerd.service/kubepods-burstable-pod${UNDERSCORED}.slice:cri-containerd:${ID}`,
    {
      container_id: ID,
      pod_uid: UID,
    },
  ],
  ["k3s, in its unit", `/system.slice/k3s.service/kubepods/burstable/pod${UID}/${ID}`, { container_id: ID, pod_uid: UID }],
  ["the kubelet", "/system.slice/kubelet.service", { unit: "kubelet" }],
  ["ECS", `/ecs/0b1c2d3e4f5061728394a5b6c7d8e9f0/${ID}`, { container_id: ID }],
  ["ECS on Fargate", "/ecs/0b1c2d3e4f5061728394a5b6c7d8e9f0/0b1c2d3e4f5061728394a5b6c7d8e9f0-2402331893", {
    container_id: "0b1c2d3e4f5061728394a5b6c7d8e9f0-2402331893",
  }],
  ["LXC", "/lxc.payload.web/system.slice/nginx.service", { container_id: "web", unit: "nginx" }],
  ["LXC, version 1", "/lxc/web", { container_id: "web" }],
  ["LXC's monitor", "/lxc.monitor.web", {}],
  ["systemd-nspawn", "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", {
    container_id: "web",
    unit: "nginx",
  }],
  ["machined", "/machine.slice/machine-my\\x2dweb.scope/payload", { container_id: "my-web" }],
  ["a virtual machine", "/machine.slice/machine-qemu\\x2d1\\x2ddb.scope/libvirt/emulator", {}],
];

for (const [what, path, names] of CASES) {
  Deno.test(`parseCgroupPath() knows ${what}`, () => {
    assert.deepEqual(parseCgroupPath(path), { unit: "", container_id: "", pod_uid: "", ...names });
  });
}
