/** Refuses an object whose events are laid out otherwise than this agent was built to read them. */

import { PROCESS_EVENT, TCP_EVENT } from "../bpf/tcp_event.gen.ts";
import { readBtf } from "../lib/btf.ts";

interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

const LAYOUTS: Readonly<Record<string, Layout>> = { tcp_event: TCP_EVENT, process_event: PROCESS_EVENT };

/** @throws {TypeError} If a structure of the object's BTF differs; the message names the field. */
export function checkEventLayouts(elf: Uint8Array): void {
  const { structs } = readBtf(elf);
  for (const [name, layout] of Object.entries(LAYOUTS)) {
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
