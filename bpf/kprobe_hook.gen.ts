// Do not edit; made by `deno task bpf` from bpf/kprobe_hook.h.

export const KPROBE_HOOK = {
  HOOK_TCP_SET_STATE: 0,
  HOOK_TCP_V4_CONNECT: 1,
  HOOK_TCP_V6_CONNECT: 2,
  HOOK_INET_CSK_ACCEPT: 3,
  HOOK_SECURITY_SOCK_GRAFT: 4,
  HOOK_IP4_DATAGRAM_CONNECT: 5,
  HOOK_IP6_DATAGRAM_CONNECT: 6,
  HOOK_LATE_END: 7,
  HOOK_LOST_END: 8,
  HOOK_MAX: 9,
} as const;
