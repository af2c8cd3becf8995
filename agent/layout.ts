/** Refuses an object whose events are laid out otherwise than this agent was built to read them. */

import { PROCESS_EVENT, SOCKET_ELSEWHERE, TCP_EVENT } from "../bpf/tcp_event.gen.ts";
import { readBtf } from "../lib/btf.ts";

/** Bytes of a structure, and where its fields are. */
export interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

const EVENT_LAYOUTS: Readonly<Record<string, Layout>> = { tcp_event: TCP_EVENT, process_event: PROCESS_EVENT };
const ITERATOR_LAYOUTS: Readonly<Record<string, Layout>> = { socket_elsewhere: SOCKET_ELSEWHERE };

/**
 * @param hasIterators Whether the object walks open files.
 * @throws {TypeError} If an event's structure in the object's BTF differs; the message names the field.
 */
export function checkEventLayouts(elf: Uint8Array, hasIterators: boolean): void {
  checkLayouts(elf, hasIterators ? { ...EVENT_LAYOUTS, ...ITERATOR_LAYOUTS } : EVENT_LAYOUTS);
}

/** @throws {TypeError} If a structure of the object's BTF differs; the message names the field. */
export function checkLayouts(elf: Uint8Array, layouts: Readonly<Record<string, Layout>>): void {
  const { structs } = readBtf(elf);
  for (const [name, layout] of Object.entries(layouts)) {
    const struct = structs.get(name);
    if (struct?.size !== layout.size) {
      throw new TypeError(`Cannot use BPF object: struct "${name}" has ${struct?.size ?? "no"} bytes, needed ${layout.size}`);
    }
    for (const [field, { offset, size }] of Object.entries(layout.fields)) {
      const found = struct.fields.find((f) => f.name === field);
      if (found?.offset !== offset || found.size !== size) {
        throw new TypeError(
          `Cannot use BPF object: field "${name}.${field}" is at ${found?.offset ?? "no offset"}, needed ${offset} with ${size} bytes`,
        );
      }
    }
  }
}
