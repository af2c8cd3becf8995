/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that exit with sockets open. The kernel closes a process's files after it has dropped its memory, and with it
 * the names of its executable and arguments: they are noted before, and told only if a socket turns out to need them.
 */
#ifndef SKYFALL_EXITING_BPF_H
#define SKYFALL_EXITING_BPF_H

/* Bound: a note is needed for as long as its process takes to exit. */
#define EXITING_MAX 1024

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EXITING_MAX);
	__type(key, __u32); /* pid */
	__type(value, struct process_event);
} exiting SEC(".maps");

/* Too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_event);
} exiting_scratch SEC(".maps");

/* The current process exits, and its memory is there still. */
static __always_inline int note_exiting(void)
{
	struct process_event *scratch, *note;
	struct process_key key;
	__u32 zero = 0;

	if (!KERNEL_READ(current_task(), mm))
		return 0;
	key = current_process();
	if (bpf_map_lookup_elem(&described, &key))
		return 0;
	note = bpf_map_lookup_elem(&exiting, &key.pid);
	if (note && note->process_start_ns == key.start_ns && note->exec_id == key.exec_id)
		return 0; /* by another of its threads */
	scratch = bpf_map_lookup_elem(&exiting_scratch, &zero);
	if (!scratch)
		return 0;
	fill_process_event(scratch);
	bpf_map_update_elem(&exiting, &key.pid, scratch, BPF_ANY);
	return 0;
}

/* Tells of the current process by its note; false where there is none. */
static __always_inline bool describe_exiting(const struct process_key *key)
{
	struct process_event *note = bpf_map_lookup_elem(&exiting, &key->pid);

	if (!note || note->process_start_ns != key->start_ns || note->exec_id != key->exec_id)
		return false;
	count(COUNTER_EVENTS);
	if (bpf_ringbuf_output(&events, note, sizeof(*note), BPF_RB_FORCE_WAKEUP) == 0)
		return true;
	count(COUNTER_RING_LOST);
	return false;
}

#endif
